"""`ci.yml` as it runs on the first push to main of a fork."""

import os
from pathlib import Path

from tests.support import ROOT
from tests.system.runner.played import GitHub, clone
from tests.system.runner.workflow import Event

CI = ROOT / ".github/workflows/ci.yml"
ONLY = set(os.environ["ONLY_JOBS"].split()) if "ONLY_JOBS" in os.environ else None  # while one of them is worked on


def test_a_first_push_is_green_and_publishes_what_was_tested(github: GitHub, tmp_path: Path) -> None:
    clone(tmp_path / "project")
    sha = github.push("octo/project", tmp_path / "project")
    scenario = [
        {"call": "run list .* --branch main --event push .*", "right": "actions: read"},
        {"call": "api repos/octo/project/commits/main --jq .sha", "prints": sha, "right": "contents: read"},
    ]
    results = github.play(CI, Event("push"), sha, scenario, ONLY)
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports/runner.md").write_text(github.minutes())
    assert github.refused() == []
    assert results.pop("comment") == "skipped"
    assert set(results.values()) == {"success"}, f"{results}{github.ends()}"
    if ONLY is None:
        assert github.published("octo/project") == {sha, "latest"}

"""The emulated runner itself: expressions, conditions, permissions, and what it refuses. It needs no container."""

import json
import os
import shutil
import subprocess
import threading
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.system.runner import actions, workflow
from tests.system.runner.expressions import evaluate, filled
from tests.system.runner.test_red_causes import CAUSES
from tests.system.runner.workflow import NOT_PLAYED, Event, Leg, is_here, legs, read, run, starts

PINNED = "0" * 40
CONTEXTS = {
    "github": {"ref": "refs/heads/main", "event": {"private": False}},
    "needs": {"a": {"result": "success"}, "b": {"result": "skipped"}},
}
FUNCTIONS = {"success": lambda: True, "join": lambda values, by: by.join(values)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("github.ref == 'refs/heads/main'", True),
        ("github.ref == 'REFS/heads/main'", True),  # capitals do not count
        ("github.ref != 'x' && success()", True),
        ("github.event.private && '1' || ''", ""),
        ("!github.event.private", True),
        ("(github.nothing.at.all || 'else') == 'else'", True),
        ("github.nothing == ''", True),  # null and an empty text are both 0
        ("join(needs.*.result, ' ')", "success skipped"),
        ("'it''s'", "it's"),
    ],
)
def test_expressions_have_githubs_values(text: str, value: object) -> None:
    assert evaluate(text, CONTEXTS, FUNCTIONS) == value


@pytest.mark.parametrize("text", ["nothing.ref", "hashFiles('x')", "github.ref ==", "github.ref github", "1 < 2"])
def test_what_it_cannot_read_is_an_error_and_no_guess(text: str) -> None:
    with pytest.raises(ValueError, match=".+"):
        evaluate(text, CONTEXTS, FUNCTIONS)


def test_a_text_has_the_values_in_their_places() -> None:
    assert filled("a ${{ github.event.private }} b ${{ github.nothing }}", CONTEXTS, FUNCTIONS) == "a false b "


WORKFLOW: dict[str, Any] = {
    "on": {"push": {"branches": ["main"], "tags": ["v*"]}, "pull_request": None},
    "jobs": {
        "last": {"needs": ["first", "other"], "steps": [], "permissions": {}},
        "first": {"steps": [], "permissions": {}},
        "other": {"steps": [], "permissions": {}, "if": "github.event_name == 'push'"},
        "always": {"needs": "other", "if": "always()", "steps": [], "permissions": {}},
        "red": {"needs": "first", "if": "failure()", "steps": [], "permissions": {}},
    },
}


@pytest.mark.parametrize(
    ("event", "first", "results"),
    [
        ("push", "success", ["success", "success", "success", "success", "skipped"]),
        ("push", "failure", ["failure", "success", "skipped", "success", "success"]),
        ("pull_request", "success", ["success", "skipped", "skipped", "success", "skipped"]),
    ],
)
def test_jobs_run_by_their_needs_and_conditions(event: str, first: str, results: list[str]) -> None:
    """A job that was skipped is no success for those that need it."""
    found = run(WORKFLOW, Event(event), "abc", lambda leg: first if leg.job == "first" else "success")
    assert [found[name] for name in ("first", "other", "last", "always", "red")] == results


@pytest.mark.parametrize(
    ("event", "ref", "does"),
    [
        ("push", "refs/heads/main", True),
        ("push", "refs/heads/mine", False),
        ("push", "refs/tags/v1.2.0", True),
        ("pull_request", "refs/pull/7/merge", True),
        ("schedule", "refs/heads/main", False),
    ],
)
def test_an_event_starts_what_the_workflow_names(event: str, ref: str, does: bool) -> None:
    assert starts(WORKFLOW, Event(event, ref)) == does


def test_legs_that_this_machine_cannot_play_stop_no_other() -> None:
    jobs = {"a": {"strategy": {"matrix": {"python": ["3.13", "3.14"]}}, "steps": [], "permissions": {}}}
    results = {"3.13": "success", "3.14": NOT_PLAYED}
    assert run({"jobs": jobs}, Event("push"), "abc", lambda leg: results[leg.matrix["python"]]) == {"a": "success"}
    assert run({"jobs": jobs}, Event("push"), "abc", lambda leg: "failure") == {"a": "failure"}


def test_legs_run_side_by_side_and_what_waits_for_them_uses_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait ends with a leg. One that looked at legs that have ended already would turn round and round."""
    waits: list[int] = []

    def counted(legs: list[Any], **options: Any) -> Any:
        waits.append(len(legs))
        return wait(legs, **options)

    both = threading.Barrier(2)

    def play(leg: Leg) -> str:
        both.wait(timeout=20)
        if leg.matrix["python"] == "3.14":
            threading.Event().wait(0.2)
        return "success"

    monkeypatch.setattr(workflow, "wait", counted)
    jobs = {"a": {"strategy": {"matrix": {"python": ["3.13", "3.14"]}}, "steps": [], "permissions": {}}}
    assert run({"jobs": jobs}, Event("push"), "abc", play, machines=2) == {"a": "success"}
    assert len(waits) <= 2


def test_jobs_that_are_not_played_end_as_it_is_said() -> None:
    jobs: dict[str, Any] = {
        "mac": {"steps": [], "permissions": {}},
        "issue": {"needs": "mac", "if": "needs.mac.result == 'failure' && always()", "steps": [], "permissions": {}},
    }
    workflow = {"jobs": jobs}
    results = run(workflow, Event("push"), "abc", lambda leg: "success", {"issue"}, {"mac": "failure"})
    assert results == {"mac": "failure", "issue": "success"}
    assert run(workflow, Event("push"), "abc", lambda leg: "success", {"issue"})["issue"] == "skipped"


@pytest.mark.parametrize(("ready", "result"), [("true", "success"), ("false", "skipped")])
def test_a_job_has_the_outputs_of_those_that_it_needs(ready: str, result: str) -> None:
    jobs: dict[str, Any] = {
        "site": {"outputs": {"ready": "${{ steps.pages.outputs.ready }}"}, "steps": [], "permissions": {}},
        "publish": {"needs": "site", "if": "needs.site.outputs.ready == 'true'", "steps": [], "permissions": {}},
    }

    def play(leg: Leg) -> str:
        leg.steps["pages"] = {"outputs": {"ready": ready}}
        return "success"

    assert run({"jobs": jobs}, Event("push"), "abc", play)["publish"] == result


@pytest.mark.parametrize("name", CAUSES)
def test_what_a_cause_changes_is_there(name: str) -> None:
    """The emulated runner would say so only after half an hour."""
    for path, old, _ in CAUSES[name].changes:
        assert old in (ROOT / path).read_text(encoding="utf-8"), path


def test_only_jobs_of_the_emulated_system_are_played() -> None:
    jobs = read(ROOT / ".github/workflows/weekly.yml")["jobs"]
    assert [name for name, job in jobs.items() if not is_here(job)] == ["macos", "arm64"]


def leg(**permissions: str) -> Leg:
    contexts = {"github": Event("push").github("abc")}
    (found,) = legs("job", {"permissions": permissions, "steps": []}, contexts)
    return found


@pytest.mark.parametrize(
    ("uses", "given", "message"),
    [
        ("actions/checkout@v6", {}, "not pinned"),
        (f"somebody/else@{PINNED}", {}, "is not played"),
        (f"actions/checkout@{PINNED}", {"persist-credential": "false"}, "no input persist-credential"),
        (f"actions/checkout@{PINNED}", {}, "the token would stay"),
        (f"github/codeql-action/init@{PINNED}", {"languages": "go"}, "needs security-events: write"),
        (f"actions/deploy-pages@{PINNED}", {}, "needs pages: write"),
        (f"actions/upload-artifact@{PINNED}", {"name": "a", "path": "b"}, "would go unnoticed"),
        (f"docker/login-action@{PINNED}", {"registry": "ghcr.io"}, "needs packages: read"),
        (f"actions/attest-sbom@{PINNED}", {}, "needs id-token: write"),
    ],
)
def test_an_action_refuses_what_it_does_not_know_or_may_not(uses: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        actions.play(None, leg(contents="read"), uses, given)  # type: ignore[arg-type]  # no action gets as far as its machine


def test_the_token_of_a_pull_request_from_a_fork_only_reads() -> None:
    event = Event("pull_request", "refs/pull/7/merge", {"pull_request": {"head": {"repo": {"full_name": "a/b"}}}})
    (found,) = legs("job", {"permissions": {"packages": "write"}, "steps": []}, {"github": event.github("abc")})
    assert found.permissions == {"packages": "read"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_every_workflow_can_be_read(path: Path) -> None:
    """A key that the emulation does not know would be left out of it."""
    assert read(path)["jobs"]


@pytest.mark.parametrize(
    ("call", "permissions", "code", "message"),
    [
        (["run", "list"], {"actions": "read"}, 0, ""),
        (["run", "list"], {}, 1, "needs actions: read, and the job has none"),
        (["run", "rm"], {"actions": "write"}, 97, "a call that nothing expects"),
    ],
)
def test_gh_answers_only_what_is_expected_and_permitted(
    tmp_path: Path, call: list[str], permissions: dict[str, str], code: int, message: str
) -> None:
    scenario = [{"call": "run list", "prints": "12\n", "right": "actions: read"}]
    (tmp_path / "scenario.json").write_text(json.dumps(scenario))
    text = (ROOT / "tests/system/runner/gh").read_text().replace("/mnt/gh", str(tmp_path))
    (tmp_path / "gh").write_text(text)
    environment = {"PATH": os.environ["PATH"], "GH_TOKEN": "a", "RUNNER_PERMISSIONS": json.dumps(permissions)}
    python = shutil.which("python3") or "python3"
    ended = subprocess.run(
        [python, str(tmp_path / "gh"), *call], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (code, "" if code else "12\n")
    assert message in ended.stderr

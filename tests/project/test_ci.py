"""The workflows: every step can be run on a laptop, in the same order, and none has more rights than it needs."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project.conftest import module_of
from tests.support import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ONLY_THERE = {
    ".ci/uv",
    ".ci/mains-champion",
    ".ci/chosen-champion",
    ".ci/comment",
    ".ci/save-image",
    ".ci/load-image",
    ".ci/push",
    ".ci/required",
    "make audit",
    "make packages",
}  # they need GitHub, another job or the network, or are for a machine that is new
RIGHTS = {
    ("ci.yml", "comment"): {"pull-requests"},
    ("ci.yml", "publish"): {"packages", "id-token", "attestations"},
    ("train.yml", "challenge"): {"contents", "pull-requests", "issues"},
    ("release.yml", "release"): {"contents", "packages", "id-token"},
    ("weekly.yml", "issue"): {"issues"},
    ("lock.yml", "lock"): {"contents", "pull-requests"},
    ("codeql.yml", "codeql"): {"security-events"},
    ("pages.yml", "publish"): {"pages", "id-token"},
}


def read(path: Any) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def steps(workflow: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, step) for name, job in workflow["jobs"].items() for step in job["steps"]]


def steps_here() -> list[str]:
    """The commands that `make ci` runs, in order."""
    block = re.search(r"^steps=\(\n(.*?)^\)", (ROOT / ".ci/all").read_text(), re.MULTILINE | re.DOTALL)
    assert block
    return re.findall(r'"(.*?)"', block[1])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_run_is_a_target_a_suite_or_a_script(path: Any) -> None:
    """And no target is a script that only GitHub can run."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    suites = set(re.findall(r"^SUITES := (.*)", makefile, re.MULTILINE)[0].split())
    assert suites == {folder.parent.name for folder in (ROOT / "tests/system").glob("*/pytest.ini")}
    for job, step in steps(read(path)):
        if "run" not in step:
            continue
        found = re.fullmatch(r"make ([\w-]+)(?: SUITE=(\w+)| UPGRADE=1)?|\.ci/([\w-]+)", step["run"])
        assert found, (job, step["run"])
        target, suite, script = found.groups()
        if script:
            assert os.access(ROOT / ".ci" / script, os.X_OK), script
            assert script == "train" or script not in targets
        else:
            assert target in targets
            assert suite is None or suite in suites


def commands(job: dict[str, Any]) -> list[str]:
    """What a job runs, with the suites that the legs of a matrix name."""
    suites = [suite for leg in job.get("strategy", {}).get("matrix", {}).get("suites", []) for suite in leg.split()]
    found = []
    for step in job["steps"]:
        command = step.get("run", "")
        found += [f"make test SUITE={suite}" for suite in suites] if command == ".ci/suites" else [command]
    return [command for command in found if command]


def test_make_ci_does_what_the_jobs_do_in_their_order() -> None:
    jobs = read(ROOT / ".github/workflows/ci.yml")["jobs"]
    run = [command for job in jobs.values() for command in commands(job)]
    here = [step.removesuffix(" COVERAGE=1") for step in steps_here()]
    assert here == [command for command in run if command not in ONLY_THERE]


def test_nothing_is_published_before_everything_has_passed() -> None:
    """Only `publish` may write, only a push to main starts it, and `required` waits for all that a pull request needs."""
    jobs = read(ROOT / ".github/workflows/ci.yml")["jobs"]
    shown = {"comment", "required"}
    writing = [name for name, job in jobs.items() if "write" in job["permissions"].values() and name not in shown]
    assert writing == ["publish"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - shown - {"publish"}
    assert (
        jobs["publish"]["if"] == jobs["audit"]["if"] == "github.event_name == 'push' && github.ref == 'refs/heads/main'"
    )
    assert set(jobs["required"]["needs"]) == set(jobs) - shown - {"publish", "audit"}
    assert jobs["required"]["if"] == "always()"
    assert [name for name, job in jobs.items() if "needs" not in job] == ["lint", "test", "train"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_the_least_and_nothing_runs_for_ever(path: Any) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    of_pull_requests = "${{ github.event_name == 'pull_request' }}"
    cancelled = {"ci.yml": of_pull_requests, "codeql.yml": of_pull_requests, "release.yml": False, "pages.yml": False}
    assert workflow["concurrency"]["cancel-in-progress"] == cancelled.get(path.name, True)
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60, name
        granted = {right for right, level in job["permissions"].items() if level == "write"}
        assert granted <= RIGHTS.get((path.name, name), set()), name
        for right in granted:
            assert re.search(rf"{right}: write # to ", path.read_text()), (
                f"{name} does not say why it may write {right}"
            )
    for name, step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, name
        if step.get("uses", "").startswith("actions/setup-python@"):
            assert set(step["with"]) == {"python-version"}, f"{name}: a cache could bring what no lock names"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_and_no_failure_is_swallowed(path: Any) -> None:
    """The version of an action stands beside its pin."""
    text = path.read_text()
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    for each in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d.*", each), each
    assert "|| true" not in text
    assert "continue-on-error" not in text
    assert "secrets." not in text


def test_every_image_is_pinned_by_digest() -> None:
    """One stage of the Dockerfile names it, the others name that stage."""
    from_, *stages = re.findall(r"^FROM (.*)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    pulled = [service["image"] for service in services if "build" not in service]
    for image in (from_.removesuffix(" AS base"), *pulled):
        assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image), image
    assert {stage.split()[0] for stage in stages} == {"base"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_says_why_it_is_there_and_what_it_would_catch(path: Any) -> None:
    text = path.read_text()
    for name in read(path)["jobs"]:
        assert re.search(rf"  # Why: .*\n(  # .*\n)*?  # Catches: .*\n(  # .*\n)*  {name}:\n", text), name


@pytest.mark.parametrize(("results", "code"), [("success success", 0), ("success skipped", 1), ("failure", 1), ("", 1)])
def test_required_takes_nothing_but_success(results: str, code: int) -> None:
    ended = subprocess.run(
        [".ci/required"],
        cwd=ROOT,
        env={"RESULTS": results, "PATH": "/usr/bin:/bin:/usr/local/bin"},
        check=False,
        capture_output=True,
    )
    assert ended.returncode == code


def test_the_docs_have_the_minutes_of_every_step() -> None:
    table = (ROOT / "docs/ci.md").read_text().split("<!-- minutes -->")[1].split("<!-- /minutes -->")[0]
    assert re.findall(r"^\| `(.*?)`", table, re.MULTILINE) == steps_here()


def test_a_clone_on_windows_has_the_line_endings_of_linux(tmp_path: Path) -> None:
    """Scripts with others do not run, and bundles are hashed."""
    clone = ["git", "clone", "--quiet", "--config", "core.autocrlf=true", "--depth", "1", f"file://{ROOT}", "clone"]
    subprocess.run(clone, cwd=tmp_path, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--eol"], cwd=tmp_path / "clone", capture_output=True, text=True, check=True
    )
    assert [line for line in listed.stdout.splitlines() if "w/crlf" in line or "w/mixed" in line] == []


def test_the_picture_of_the_jobs_is_of_this_workflow() -> None:
    """`.ci/jobs.py` writes it anew."""
    jobs = module_of(".ci/jobs.py")
    assert f"<!-- jobs -->\n{jobs.picture()}<!-- /jobs -->" in (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    assert "  image --> audit\n  slow --> publish\n  audit --> publish" in jobs.picture()

"""The workflows beside ci.yml: the site, the monthly locks, the weekly checks, CodeQL.

What asks the network for what is newest, or runs on another system or processor, is left out: docs/ci.md says what.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system.runner.played import GitHub, clone, commit, cut
from tests.system.runner.workflow import Event

REPOSITORY = "octo/others"
MONTHLY = Event("schedule", repository=REPOSITORY)
PAGES = {"call": "api repos/octo/others/pages --jq .build_type", "right": "pages: read"}
HAS_ISSUES = {"call": "api repos/octo/others --jq .has_issues", "prints": "true\n"}
LISTED = {"call": "issue list .*", "right": "issues: read"}
OPEN = {**LISTED, "prints": "12\n"}
SIGN_IN = {"call": "auth setup-git"}


class Project:
    """A clone of what is committed here, which is pushed before it is played."""

    def __init__(self, github: GitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        clone(folder)
        self.bare = github.folder / "github" / REPOSITORY

    def play(self, workflow: str, event: Event, scenario: list[dict[str, Any]], **options: Any) -> dict[str, str]:
        sha = self.github.push(REPOSITORY, self.folder)
        path = self.folder / ".github/workflows" / workflow
        results = self.github.play(path, event, sha, scenario, **options)
        assert self.github.refused() == []
        return results

    def git(self, *words: str) -> str:
        """What git says of the repository on GitHub."""
        return subprocess.check_output(["git", "-C", str(self.bare), *words], text=True)


@pytest.fixture
def project(github: GitHub, tmp_path: Path) -> Project:
    return Project(github, tmp_path / "project")


def test_a_push_publishes_the_site_where_pages_is_switched_on(project: Project) -> None:
    """With the notebook as it ran last. The job that may publish has the site from the one that has built it."""
    results = project.play("pages.yml", Event("push", repository=REPOSITORY), [{**PAGES, "prints": "workflow\n"}])
    assert results == {"site": "success", "publish": "success"}, project.github.ends()
    site = project.github.folder / "pages"
    assert (site / "index.html").exists()
    assert list(site.rglob("explore*.html"))
    assert "its environment is at https://octo.github.io/others/" in project.github.log("publish")


def test_a_fork_without_pages_is_green_and_publishes_nothing(project: Project) -> None:
    cut(project.folder, "pages.yml", "site", {".ci/pages": "", "actions/upload-pages-artifact": ""})
    commit(project.folder)
    off = {**PAGES, "exit": 1, "error": "gh: Not Found (HTTP 404)"}
    results = project.play("pages.yml", Event("push", repository=REPOSITORY), [off])
    assert results == {"site": "success", "publish": "skipped"}
    assert "Settings, Pages, Source: GitHub Actions" in project.github.log("site")


def test_the_newest_locks_are_one_pull_request_that_the_next_month_renews(project: Project) -> None:
    """Its branch has the locks and nothing else, and its text says which packages changed."""
    pulls = {"call": "pr list .* --head locks .*", "right": "pull-requests: read"}
    create = {"call": "pr create .* --head locks .*", "right": "pull-requests: write"}
    edit = {"call": "pr edit 7 .*", "right": "pull-requests: write"}
    assert project.play("lock.yml", MONTHLY, [SIGN_IN, pulls, create]) == {"lock": "success"}, project.github.ends()
    assert project.git("diff", "--name-only", "main", "locks") == "requirements/dev.txt\n"
    assert project.git("log", "-1", "--format=%an", "locks") == "github-actions[bot]\n"
    assert "==99.0\n```" in project.github.body()

    first = project.git("rev-parse", "locks")
    results = project.play("lock.yml", MONTHLY, [SIGN_IN, {**pulls, "prints": "7\n"}, edit])
    assert results == {"lock": "success"}, project.github.ends()
    assert project.git("rev-parse", "locks") != first


@pytest.mark.parametrize(
    ("failed", "listed", "does"),
    [("newest", LISTED, "issue create"), ("macos", OPEN, "issue edit 12"), ("", OPEN, "issue close 12")],
    ids=["opened", "updated", "closed"],
)
def test_what_a_week_finds_is_one_issue(project: Project, failed: str, listed: dict[str, Any], does: str) -> None:
    change = {"call": f"{does} .*", "right": "issues: write"}
    others = {failed: "failure"}
    results = project.play("weekly.yml", MONTHLY, [HAS_ISSUES, listed, change], only={"issue"}, others=others)
    assert results["issue"] == "success", project.github.ends()
    assert any(call.startswith(does) for call in project.github.calls())
    text = f"Failed: {failed}. The logs: https://github.com/octo/others/actions/runs/4711\n" if failed else ""
    assert project.github.body() == text


def test_a_week_of_a_new_fork_scans_no_image_and_needs_no_other_machine(project: Project) -> None:
    """Nothing is published yet. A Mac and an arm64 machine are not emulated, and no other job waits for them."""
    only = {"advisories", "macos", "arm64", "issue"}
    results = project.play("weekly.yml", MONTHLY, [HAS_ISSUES, LISTED], only=only)
    assert set(results.values()) == {"success"}, project.github.ends()
    assert "anchore/scan-action" not in project.github.log("advisories")
    assert {"macos", "arm64"} <= set(project.github.not_played)


def test_codeql_reads_a_pull_request_and_leaves_a_private_repository_alone(project: Project) -> None:
    payload = {"pull_request": {"number": 7, "head": {"repo": {"full_name": REPOSITORY}}}}
    event = Event("pull_request", "refs/pull/7/merge", payload, repository=REPOSITORY)
    assert project.play("codeql.yml", event, []) == {"codeql": "success"}
    assert "the queries of CodeQL" in project.github.log("codeql-actions")
    private = Event("push", repository=REPOSITORY, private=True)
    assert project.play("codeql.yml", private, []) == {"codeql": "skipped"}

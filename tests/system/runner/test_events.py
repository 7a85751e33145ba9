"""The jobs that differ from a push on other events, with the smoke model: pull requests, a tag, the monthly training."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.system.runner.played import GitHub, clone, commit
from tests.system.runner.workflow import Event

REPOSITORY = "octo/smoke"
WORKFLOWS = ROOT / ".github/workflows"
NO_RUN: dict[str, Any] = {"call": "run list .*", "right": "actions: read"}
MAINS_RUN = {"call": "run list .*", "prints": "12\n", "right": "actions: read"}
MODELS = {"call": "run download .* --name models --dir .*", "right": "actions: read"}
OURS = ".github/workflows/train.yml main octo/smoke success"


def pull_request(repository: str) -> Event:
    payload = {"pull_request": {"number": 7, "head": {"repo": {"full_name": repository}}}}
    return Event("pull_request", "refs/pull/7/merge", payload, repository=REPOSITORY)


class Smoke:
    """A repository whose default model is the smoke config, and what its runs have made.

    Its image is built, saved and published as it is in a first push, whose tests are not run again.
    """

    def __init__(self, github: GitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        clone(folder)
        self.change("Makefile", "MODEL ?= flights", "MODEL ?= smoke")
        self.change(".github/workflows/ci.yml", "{image: flights,", "{image: smoke,")
        self.change(".github/workflows/ci.yml", "make test SUITE=image", "make image")
        self.change(".github/workflows/ci.yml", "      - run: make test SUITE=signing\n", "")
        self.commit()

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, name
        (self.folder / name).write_text(text.replace(old, new))

    def commit(self) -> None:
        """Commit what was changed and push it to main."""
        commit(self.folder)
        self.sha = self.github.push(REPOSITORY, self.folder)

    def play(self, workflow: str, event: Event, scenario: list[dict[str, Any]], only: set[str]) -> dict[str, str]:
        path, mains = self.folder / ".github/workflows" / workflow, self.github.folder / "gh/mains"
        models = mains if workflow == "ci.yml" and mains.is_dir() and "train" not in only else None
        results = self.github.play(path, event, self.sha, scenario, only, models)
        assert self.github.refused() == []
        return results

    def keep(self, name: str) -> Path:
        """Keep the models of the last run for `gh`, as the file NAME of a scenario and packed as in a release."""
        gh = self.github.folder / "gh"
        shutil.copytree(self.github.folder / "artifacts/models", gh / name)
        command = ["tar", "--create", "--gzip", "--transform", f"s,^{name},models,", "--file", f"{name}.tar.gz", name]
        subprocess.run(command, cwd=gh, check=True)
        return gh / name


@pytest.fixture(scope="module")
def smoke(github: GitHub, tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    return Smoke(github, tmp_path_factory.mktemp("smoke") / "project")


@pytest.fixture(scope="module")
def mains(smoke: Smoke) -> dict[str, Any]:
    """The models of main, as `gh run download` gives them: a pull request from a branch has made them."""
    comments = "repos/octo/smoke/issues/7/comments"
    post = f"api --method POST {comments} --field body=@reports/summary.md --silent"
    scenario = [
        NO_RUN,
        {"call": f"api {comments} --paginate --jq .*", "right": "pull-requests: read"},
        {"call": post, "right": "pull-requests: write"},
    ]
    results = smoke.play("ci.yml", pull_request(REPOSITORY), scenario, {"train", "comment", "required"})
    smoke.keep("mains")
    return {**MODELS, "file": "mains", "results": results, "commented": post in smoke.github.calls()}


def test_a_pull_request_from_a_branch_is_commented_and_publishes_nothing(mains: dict[str, Any]) -> None:
    results = mains["results"]
    assert results["train"] == results["comment"] == results["required"] == "success"
    assert results["audit"] == results["publish"] == "skipped"
    assert mains["commented"]


def test_a_pull_request_from_a_fork_only_reads(smoke: Smoke, mains: dict[str, Any]) -> None:
    """Its model is compared with main's, and it is the same; its evidence is in the summary of the job."""
    results = smoke.play("ci.yml", pull_request("somebody/smoke"), [MAINS_RUN, mains], {"train"})
    assert (results["train"], results["comment"], results["publish"]) == ("success", "skipped", "skipped")
    log = smoke.github.log("train")
    assert "from run 12" in log
    assert "## `smoke` `" in log


def test_a_merge_group_is_tested_and_publishes_nothing(smoke: Smoke) -> None:
    event = Event("merge_group", "refs/heads/gh-readonly-queue/main/pr-7-abc", repository=REPOSITORY)
    results = smoke.play("ci.yml", event, [], {"required"})
    assert results["required"] == "success"
    assert results["audit"] == results["publish"] == results["comment"] == "skipped"


@pytest.fixture(scope="module")
def published(smoke: Smoke, mains: dict[str, Any]) -> str:
    """The commit whose image a private fork has published: without attestations, which GitHub takes none of from it."""
    newest = {"call": "api repos/octo/smoke/commits/main --jq .sha", "prints": smoke.sha, "right": "contents: read"}
    event = Event("push", repository=REPOSITORY, private=True)
    results = smoke.play("ci.yml", event, [newest], {"image", "publish"})
    assert results["publish"] == "success"
    return smoke.sha


def test_a_private_fork_publishes_what_it_tested(smoke: Smoke, published: str) -> None:
    assert {published, "latest"} <= smoke.github.published(REPOSITORY)


def test_the_published_image_is_scanned_every_week(smoke: Smoke, published: str) -> None:
    """By a job that may only read packages."""
    event = Event("schedule", repository=REPOSITORY)
    results = smoke.play("weekly.yml", event, [], {"advisories"})
    assert results["advisories"] == "success"
    assert "anchore/scan-action" in smoke.github.log("advisories")


def test_a_tag_releases_what_ci_made_of_its_commit(smoke: Smoke, mains: dict[str, Any], published: str) -> None:
    """The image is the published one, and its attestation names ci.yml on main."""
    verified = (
        f"attestation verify oci://ghcr.io/octo/smoke:{published} --repo octo/smoke --signer-workflow "
        f"octo/smoke/.github/workflows/ci.yml --source-ref refs/heads/main --source-digest {published}"
    )
    scenario = [
        {**MAINS_RUN, "call": f"run list .* --commit={published} .*"},
        mains,
        {"call": verified, "right": "attestations: read"},
        {"call": "release create v1.0.0 .*", "right": "contents: write"},
    ]
    bare = smoke.github.folder / "github" / REPOSITORY
    subprocess.run(["git", "tag", "v1.0.0", published], cwd=smoke.folder, check=True)
    subprocess.run(["git", "push", "--quiet", bare, "v1.0.0"], cwd=smoke.folder, check=True)
    event = Event("push", "refs/tags/v1.0.0", repository=REPOSITORY)
    assert smoke.play("release.yml", event, scenario, {"release"}) == {"release": "success"}
    assert smoke.github.published(REPOSITORY) == {published, "latest", "v1.0.0"}
    created = next(call for call in smoke.github.calls() if call.startswith("release create"))
    assert all(name in created for name in ("models.tar.gz", ".sig", "image.cdx.json", "model.cdx.json"))


@pytest.fixture(scope="module")
def proposed(smoke: Smoke, mains: dict[str, Any], published: str) -> dict[str, Any]:
    """What the monthly training has proposed and somebody has merged: a better model than the released one."""
    smoke.change("configs/smoke.yaml", "max_iter: 20", "max_iter: 40")
    smoke.commit()
    released = {"prints": "v1.0.0\n", "right": "contents: read"}
    scenario = [
        {**released, "call": "release list .*"},
        {"call": "release download v1.0.0 .* --output -", "file": "mains.tar.gz", "right": "contents: read"},
        {"call": "auth setup-git"},
        {"call": "pr list .*", "right": "pull-requests: read"},
        {"call": "pr create .* --head champion-4711 .*", "right": "pull-requests: write"},
    ]
    event = Event("schedule", repository=REPOSITORY, inputs={"as_of": ""})
    assert smoke.play("train.yml", event, scenario, {"challenge"}) == {"challenge": "success"}
    smoke.keep("proposed")
    bare = smoke.github.folder / "github" / REPOSITORY
    content = subprocess.check_output(["git", "-C", bare, "show", "champion-4711:deploy/champion.json"], text=True)
    (smoke.folder / "deploy/champion.json").write_text(content)
    smoke.commit()
    choice: dict[str, Any] = json.loads(content)
    return choice


@pytest.mark.parametrize(
    ("facts", "expired", "ends"),
    [(OURS, "false", "success"), (OURS, "true", "success"), (OURS.replace("octo", "somebody"), "false", "failure")],
    ids=["fresh", "after-91-days", "of-a-fork"],
)
def test_a_merged_proposal_goes_out_where_it_is_proven(
    smoke: Smoke, proposed: dict[str, Any], facts: str, expired: str, ends: str
) -> None:
    """After 91 days it comes from a release; that of somebody else's run stops the image."""
    run = "api repos/octo/smoke/actions/runs/4711"
    scenario = [
        {"call": f"{run} --jq .*", "prints": f"{facts}\n", "right": "actions: read"},
        {"call": f"{run}/artifacts --jq .*", "prints": f"{expired}\n", "right": "actions: read"},
        {**MODELS, "file": "proposed"},
        {"call": "release list .*", "prints": "v1.1.0\n", "right": "contents: read"},
        {"call": "release download v1.1.0 .* --output -", "file": "proposed.tar.gz", "right": "contents: read"},
    ]
    results = smoke.play("ci.yml", Event("push", repository=REPOSITORY), scenario, {"image"})
    assert results["image"] == ends
    log = smoke.github.log("image")
    assert (f"the chosen model: {proposed['version']}" in log) == (ends == "success")
    assert (f"names run 4711, which is: {facts}" in log) == (ends == "failure")

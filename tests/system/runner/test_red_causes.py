"""What once made a job red that was green at home, put back: the emulated runner turns red, and says why.

All causes of one job are put back in one clone, and the job is cut to the steps that show them. Those that a smaller test
puts back are not doubled here; docs/ci.md names them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.system.runner.played import GitHub, clone, commit, cut
from tests.system.runner.workflow import Event

REPOSITORY = "octo/causes"
PUSH = Event("push", repository=REPOSITORY)
FROM_A_FORK = {"pull_request": {"number": 7, "head": {"repo": {"full_name": "somebody/causes"}}}}
COMMENTS = "repos/octo/causes/issues/7/comments"
CI = ".github/workflows/ci.yml"
IMAGE_TEST = "tests/system/image/test_image.py"
TESTS = [
    "tests/pipeline/test_main.py",
    "tests/project/test_schedules.py",
    "tests/serve/page/test_errors.py",
    "tests/serve/test_serve.py::test_an_ipv6_address_is_printed_as_a_url",
]


@dataclass(frozen=True)
class Part:
    """A job, cut to some of its steps: each with the command that is run in its place, or as it is."""

    workflow: str
    job: str
    steps: Mapping[str, str]
    before: str = ""
    leg: str | None = None
    event: Event = PUSH
    scenario: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Cause:
    """A change of files that turns a part red, and what its log then has."""

    part: str
    changes: list[tuple[str, str, str]]
    reason: str


def both(one: str, other: str) -> str:
    """A script that runs the second command too where the first one fails."""
    return f"failed=0\n{one} || failed=1\n{other} || failed=1\nexit $failed"


PARTS = {
    "lint": Part("ci.yml", "lint", {"make lint": ""}),
    "test": Part(
        "ci.yml",
        "test",
        {"make test": f'make test COVERAGE= ONLY="{" ".join(TESTS)}"'},
        before="sudo sysctl --quiet --write net.ipv6.conf.all.disable_ipv6=1",  # as in many containers
        leg="3.13",
    ),
    "image": Part(
        "ci.yml",
        "image",
        {"make test SUITE=image": "make test SUITE=image MODEL=penguins ONLY=200_mb"},
        before="make .venv/.dev && make train MODEL=penguins",
    ),
    "slow": Part(
        "ci.yml",
        "slow",
        {
            "make packages": "LEG=models make packages",
            ".ci/suites": both("make test SUITE=models ONLY=lightgbm", "make test SUITE=setup ONLY=oldest_pip"),
        },
        before="sudo ln -s /bin/true /usr/local/bin/chromium && sudo ln -s /bin/true /usr/local/bin/prometheus"
        " && sudo mkdir -p /usr/lib/postgresql/17/bin && sudo touch /usr/lib/postgresql/17/bin/initdb",
        leg="setup",
    ),
    "train": Part(
        "ci.yml",
        "train",
        {".ci/mains-champion": "", "actions/upload-artifact": ""},
        before="mkdir -p models reports && touch models/champion reports/summary.md",
        scenario=[{"call": "run list .*", "right": "actions: read"}],
    ),
    "comment": Part(
        "ci.yml",
        "comment",
        {"actions/download-artifact": "", ".ci/comment": ""},
        before="mkdir /mnt/artifacts/summary && echo a model >/mnt/artifacts/summary/summary.md && mkdir reports",
        event=Event("pull_request", "refs/pull/7/merge", FROM_A_FORK, repository=REPOSITORY),
        scenario=[
            {"call": f"api {COMMENTS} --paginate --jq .*", "right": "pull-requests: read"},
            {"call": f"api --method POST {COMMENTS} .*", "right": "pull-requests: write"},
        ],
    ),
    "publish": Part(
        "ci.yml",
        "publish",
        {"docker/login-action": "", ".ci/push": ""},
        before="docker pull --quiet python:3.13-slim && docker tag python:3.13-slim $(.ci/model)",
        scenario=[{"call": "api repos/octo/causes/commits/main --jq .sha", "right": "contents: read"}],
    ),
    "publish privately": Part(
        "ci.yml",
        "publish",
        {"actions/attest-build-provenance": ""},
        event=Event("push", repository=REPOSITORY, private=True),
    ),
    "lock": Part(
        "lock.yml",
        "lock",
        {"make lock UPGRADE=1": "", ".ci/propose-locks": ""},
        event=Event("schedule", repository=REPOSITORY),
        scenario=[
            {"call": "auth setup-git"},
            {"call": "pr list .*", "right": "pull-requests: read"},
            {"call": "pr create .*", "right": "pull-requests: write"},
        ],
    ),
}
WITH_THE_BASE_IMAGE = """
def test_it_is_at_most_200_mb_over_the_base_image(engine: docker.DockerClient) -> None:
    base, ours = (engine.images.get(name).attrs["Size"] for name in ("python:3.13-slim", IMAGE))
    assert ours - base <= 200e6


def test_it_is_at_most_200_mb_over_its_base("""
CAUSES = {
    "types are checked for another Python than runs": Cause(
        "lint",
        [("pyproject.toml", "[tool.mypy]\n", '[tool.mypy]\npython_version = "3.11"\n')],
        'of "ndarray" require at least one argument',
    ),
    "tests inherit the variables of CI, and a message is coloured": Cause(
        "test",
        [("tests/conftest.py", "if not name.startswith(KEPT)]", "if False]")],
        "FAILED tests/pipeline/test_main.py::test_a_persons_mistake_ends_with_one_message_and_its_code",
    ),
    "a test commits with the identity that a person has": Cause(
        "test",
        [("tests/project/test_schedules.py", '"-c", "user.name=Ada", "-c", "user.email=ada@example.org", ', "")],
        "Please tell me who you are",
    ),
    "a test needs IPv6": Cause(
        "test",
        [("tests/serve/test_serve.py", "@pytest.mark.skipif(not has_ipv6()", "@pytest.mark.skipif(False")],
        "FAILED tests/serve/test_serve.py::test_an_ipv6_address_is_printed_as_a_url",
    ),
    "an error has the name that another Python gives it": Cause(
        "test",
        [
            ("serve/errors.py", "TITLES.get(self.status) or HTTPStatus", "HTTPStatus"),
            (
                "tests/serve/page/test_errors.py",
                '("Unprocessable Content", "UNPROCESSABLE_CONTENT")',
                '("Unprocessable Entity", "UNPROCESSABLE_ENTITY")',
            ),
        ],
        "FAILED tests/serve/page/test_errors.py::test_the_name_of_an_error_is_the_same_on_every_python",
    ),
    "a test asks for the base image, which a build does not leave": Cause(
        "image", [(IMAGE_TEST, "\ndef test_it_is_at_most_200_mb_over_its_base(", WITH_THE_BASE_IMAGE)], "ImageNotFound"
    ),
    "the image has what nothing in it reads": Cause(
        "image",
        [
            ("Dockerfile", " -exec rm -r {} + \\\n", " -prune -exec true {} + \\\n"),
            ("Dockerfile", "[.]\\(pyi\\|pyx\\|pxd\\|h\\|a\\)' -type f -delete", "[.]none' -type f"),
        ],
        "FAILED tests/system/image/test_image.py::test_it_is_at_most_200_mb_over_its_base - ",
    ),
    "a library is missing that a bare Debian does not have": Cause(
        "slow",
        [(".ci/packages", "compgen -G '/usr/lib/*/libgomp.so.1' >/dev/null || needs libgomp1 models\n", "")],
        "libgomp.so.1: cannot open shared object file",
    ),
    "the oldest pip of one Python is used on another": Cause(
        "slow", [("tests/system/setup/test_setup.py", '(3, 13): "24.2"', '(3, 13): "22.3"')], "ImpImporter"
    ),
    "a job may not look for main's models": Cause(
        "train", [(CI, "      actions: read # to find the bundle of main's last run\n", "")], "needs actions: read"
    ),
    "there is nothing to upload": Cause(
        "train", [(CI, "path: models/, if-no", "path: model/, if-no")], "No files were found with the provided path"
    ),
    "an artifact is asked for by a name that it does not have": Cause(
        "comment", [(CI, "{name: summary, path: reports/}", "{name: evidence, path: reports/}")], "Artifact not found"
    ),
    "a pull request from a fork is commented": Cause(
        "comment",
        [(CI, " && github.event.pull_request.head.repo.full_name == github.repository", "")],
        "needs pull-requests: write, and the job has read",
    ),
    "a token that may only read packages pushes": Cause(
        "publish", [(CI, "packages: write # to push", "packages: read # to push")], "denied: permission_denied"
    ),
    "a private repository attests": Cause(
        "publish privately",
        [(CI, "        if: ${{ !github.event.repository.private }}\n", "")],
        "Feature not available for user-owned private repositories",
    ),
    "a workflow commits without a name": Cause(
        "lock",
        [
            (".ci/pull-request", 'git config user.name "github-actions[bot]"\n', ""),
            (".ci/pull-request", 'git config user.email "41898282+github-actions[bot]@users.noreply.github.com"\n', ""),
        ],
        "Please tell me who you are",
    ),
}
QUICK = ["train", "comment", "publish", "publish privately", "lock"]  # test_first_push has the others as they are


@dataclass(frozen=True)
class Ended:
    result: str
    log: str


@pytest.fixture(scope="module")
def played(github: GitHub, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Ended]:
    """How a part ends, with its causes put back or as it is. Each is played once."""
    done: dict[tuple[str, bool], Ended] = {}

    def play(name: str, put_back: bool) -> Ended:
        if (name, put_back) not in done:
            done[name, put_back] = play_part(github, tmp_path_factory.mktemp("causes") / "project", name, put_back)
        return done[name, put_back]

    return play


def play_part(github: GitHub, folder: Path, name: str, put_back: bool) -> Ended:
    clone(folder)
    causes = [cause for cause in CAUSES.values() if cause.part == name and put_back]
    for path, old, new in (change for cause in causes for change in cause.changes):
        text = (folder / path).read_text()
        assert old in text, f"{path} no longer has {old!r}"
        (folder / path).write_text(text.replace(old, new))
    part = PARTS[name]
    cut(folder, part.workflow, part.job, part.steps, part.before, part.leg)
    commit(folder)

    sha = github.push(REPOSITORY, folder)
    workflow = folder / ".github/workflows" / part.workflow
    result = github.play(workflow, part.event, sha, part.scenario, {part.job})[part.job]
    logs = sorted((github.folder / "logs").iterdir())
    return Ended(result, "".join(path.read_text() for path in logs))


@pytest.mark.parametrize("name", CAUSES)
def test_what_was_red_once_is_red_again(played: Callable[[str, bool], Ended], name: str) -> None:
    cause = CAUSES[name]
    ended = played(cause.part, True)
    assert ended.result == "failure"
    assert cause.reason in ended.log


def test_the_docs_have_the_causes_that_are_put_back_here() -> None:
    table = (ROOT / "docs/ci.md").read_text(encoding="utf-8").split("<!-- causes -->")[1].split("<!-- /causes -->")[0]
    rows = [(name, PARTS[cause.part].job, PARTS[cause.part].workflow) for name, cause in CAUSES.items()]
    assert re.findall(r"^\| (.*) \| `(\w+)` of `(.*)` \|$", table, re.MULTILINE) == rows


@pytest.mark.parametrize("name", QUICK)
def test_as_it_is_it_is_not(played: Callable[[str, bool], Ended], name: str) -> None:
    """Without its causes: what is red above is red because of them."""
    ended = played(name, False)
    assert ended.result == ("skipped" if name == "comment" else "success")  # a fork's pull request gets no comment
    assert not [cause for cause in CAUSES.values() if cause.part == name and cause.reason in ended.log]

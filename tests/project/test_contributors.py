"""What people and their tools read first: hooks, the devcontainer, AGENTS.md and the map of skills."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.support import ROOT
from tests.support.pages import TARGETS, broken_links, named_targets, page

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def devcontainer(name: str) -> Any:
    return json.loads(page(f".devcontainer/{name}"))


def hooks() -> list[dict[str, Any]]:
    repositories = yaml.safe_load(page(".pre-commit-config.yaml"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks: list[dict[str, Any]] = repositories[0]["hooks"]
    return hooks


def test_every_hook_calls_a_target_of_make() -> None:
    for hook in hooks():
        assert re.match(r"make ([a-z-]+)", hook["entry"])[1] in TARGETS
        assert hook["language"] == "system"


@pytest.mark.parametrize(
    ("hook", "file"),
    [
        ("lint", "src/pipeline/errors.py"),
        ("lint-files", ".github/workflows/ci.yml"),
        ("lint-files", ".ci/all"),
        ("lint-files", "compose.yaml"),
        ("lint-files", "Dockerfile"),
    ],
)
def test_a_hook_runs_where_a_file_changes_that_it_checks(hook: str, file: str) -> None:
    patterns = {hook["id"]: hook.get("files") for hook in hooks()}
    assert (ROOT / file).is_file()
    assert re.search(patterns[hook], file)


def test_the_devcontainer_is_pinned_by_digest() -> None:
    """The image in its name, a feature in the lock beside it."""
    config, lock = devcontainer("devcontainer.json"), devcontainer("devcontainer-lock.json")
    assert DIGEST.search(config["image"])
    assert lock["features"].keys() == config["features"].keys()
    for feature in lock["features"].values():
        assert DIGEST.search(feature["resolved"])
        assert feature["resolved"].endswith(feature["integrity"])


def test_the_devcontainer_forwards_the_ports_of_the_targets_that_it_names() -> None:
    config = devcontainer("devcontainer.json")
    assert {str(port) for port in config["forwardPorts"]} == config["portsAttributes"].keys()
    assert config["portsAttributes"].keys() == {"8080", "5000"}
    for port in config["portsAttributes"].values():
        assert port["label"].removeprefix("make ") in TARGETS


@pytest.mark.parametrize("name", ["AGENTS.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_commands_and_files_that_a_page_outside_of_docs_names_exist(name: str) -> None:
    named = re.findall(r"`((?:docs|src|tests|serve|configs|requirements)/[\w./-]*)`", page(name))
    assert named_targets(page(name)) <= TARGETS
    assert broken_links(name) == []
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", ["AGENTS.md", "docs/CONTRIBUTING.md", "docs/skills.md"])
def test_every_test_that_a_page_runs_exists(name: str) -> None:
    paths = re.findall(r"ONLY=(tests/[\w./]+)", page(name))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []

"""What a machine of the emulated runner is like, so that a step that stands on more than GitHub gives fails on it."""

from collections.abc import Iterator

import pytest

from tests.system.runner.machine import Machine
from tests.system.runner.played import GitHub


@pytest.fixture(scope="module")
def machine(github: GitHub) -> Iterator[Machine]:
    made = Machine("a machine", github.folder, github.folder / "logs/machine.log", {})
    yield made
    made.remove()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ('test "$(id --user --name)" = runner && sudo --non-interactive true', 0),
        ("python3 --version | grep 'Python 3.13'", 0),
        ('test -z "$(docker images --quiet)"', 0),
        ("git config user.name", 1),
        ("git config user.email", 1),
        ("command -v uv || command -v chromium || command -v prometheus", 1),
        ("docker push ghcr.io/octo/project:latest", 1),  # nobody has logged in
        ('test -n "$GITHUB_ACTIONS" && test -z "$GH_TOKEN"', 0),
    ],
)
def test_it_has_what_a_hosted_runner_has_and_no_more(machine: Machine, script: str, code: int) -> None:
    assert machine.bash(script) == code


def test_a_step_sees_what_the_step_before_has_written(machine: Machine) -> None:
    code, outputs = machine.step('echo "digest=abc" >>"$GITHUB_OUTPUT"; echo "NAME=Ada" >>"$GITHUB_ENV"', {})
    assert (code, outputs) == (0, {"digest": "abc"})
    assert machine.step('test "$NAME" = Ada; exit 3', {})[0] == 3

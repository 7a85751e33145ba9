"""Mutants of one module: mutmut makes small changes of its code and runs the module's own tests against each of them.

mutmut does not change decorated functions, properties, constants outside of functions, and formatted strings.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

from tests.support import ROOT

WORK = ROOT / "build/mutation"
NOTICED = {"killed", "timeout"}  # mutmut counts a test that takes fifteen times as long as a test that failed
SURVIVED = {"survived", "no tests"}
# The text of an error is not changed: a test matches the part of it that a reader needs, and not its every word.
SETTINGS = r"""[mutmut]
source_paths = src/
only_mutate = {source}
also_copy = configs/
pytest_add_cli_args_test_selection =
{tests}
pytest_add_cli_args =
    --numprocesses=0
do_not_mutate_patterns = raise \w+
use_git_change_detection = false
"""


class Mutant(NamedTuple):
    """A change of one function: the lines that go, and those that come in their place."""

    function: str
    line: str
    becomes: str
    status: str


def own_tests(module: str) -> list[str]:
    """The test files of a module such as `data/split`: `test_split.py`, and `test_split_*.py` where there are more."""
    folder, _, name = module.rpartition("/")
    paths = (ROOT / "tests/pipeline" / folder).glob("*.py")
    own = [path for path in paths if path.stem == f"test_{name}" or path.stem.startswith(f"test_{name}_")]
    return sorted(path.relative_to(ROOT).as_posix() for path in own)


def make_and_test(module: str) -> list[Mutant]:
    """Run mutmut on a module of the pipeline, in a folder of its own, and return all mutants with their status."""
    folder = WORK / module.replace("/", ".")
    source = f"src/pipeline/{module}.py"
    prepare(folder, source, own_tests(module))

    with (folder / "log").open("w") as log:
        command = [Path(sys.executable).parent / "mutmut", "run"]
        code = subprocess.call(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    assert code == 0, f"mutmut ended with {code}:\n" + "\n".join((folder / "log").read_text().splitlines()[-40:])
    return read(folder, source)


def prepare(folder: Path, source: str, tests: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("src", "tests", "configs", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    listed = "\n".join(f"    {test}" for test in tests)
    (folder / "setup.cfg").write_text(SETTINGS.format(source=source, tests=listed), encoding="utf-8")


def read(folder: Path, source: str) -> list[Mutant]:
    codes = json.loads((folder / f"mutants/{source}.meta").read_bytes())["exit_code_by_key"]
    mutants = []
    with contextlib.chdir(folder):
        for name, code in codes.items():
            function = name.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x_").removeprefix("xǁ")
            diff = get_diff_for_mutant(name, path=source).splitlines()[2:]
            line, becomes = changed(diff, "-"), changed(diff, "+")
            mutants.append(Mutant(function.replace("ǁ", "."), line, becomes, status_by_exit_code[code]))
    return mutants


def changed(diff: list[str], sign: str) -> str:
    return "\n".join(line[1:].strip() for line in diff if line.startswith(sign))

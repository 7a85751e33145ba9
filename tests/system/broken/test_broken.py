"""The table of docs/ci.md: a change that should not get through, and the target that stops it."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
SMOKE = "MODEL=smoke"
Change = Callable[[Path], None]


def replaced(name: str, old: str, new: str) -> Change:
    def change(tree: Path) -> None:
        text = (tree / name).read_text()
        assert old in text, f"{name} no longer has {old!r}"
        (tree / name).write_text(text.replace(old, new, 1))

    return change


def leak(tree: Path) -> None:
    """The delay of the departure, said to be known before it."""
    replaced(
        "configs/flights.yaml", "dep_delay: {kind: number, known: after", "dep_delay: {kind: number, known: before"
    )(tree)
    replaced("configs/flights.yaml", "  - pressure_change_3h\n", "  - pressure_change_3h\n  - dep_delay\n")(tree)


def unlocked(package: str) -> Change:
    """A package taken out of the server's lock, as by a hand that resolves a conflict."""

    def change(tree: Path) -> None:
        lock = tree / "requirements/serve.txt"
        text, count = re.subn(rf"^{package}==.*\n(?: .*\n)*", "", lock.read_text(), flags=re.MULTILINE)
        assert count == 1, package
        lock.write_text(text)

    return change


# In the order of the table: change, arguments of make, words.
CHANGES: dict[str, tuple[Change, list[str], str]] = {
    "a feature that is known only afterwards": (leak, ["train", SMOKE], "too good to be true"),
    "a model that is worse than the champion": (
        replaced("configs/smoke.yaml", "linear: {C: 0.01}\n  tree: null\n  forest: null\n  boosting: {max_iter: 20, learning_rate: 0.2,",
                 "linear: null\n  tree: null\n  forest: null\n  boosting: {max_iter: 2, learning_rate: 0.03,"),
        ["train", SMOKE], "against the champion",
    ),
    "other feature code than the bundle was made with": (
        replaced("src/pipeline/datasets/flights.py", "(day + 3) % 7", "(day + 4) % 7"), ["try", "MODEL=smoke"], "golden rows get another prediction",
    ),
    "an export that is not exact": (
        replaced("src/pipeline/runtime/predictor.py", "return as_answers(output.astype(np.float64))", "return as_answers(output.astype(np.float64)) * 0.999"),
        ["train", SMOKE], "differs from scikit-learn by up to",
    ),
    "a dependency that is not locked": (
        replaced("pyproject.toml", '    "jinja2>=3.1",\n', '    "jinja2>=3.1",\n    "left-pad>=1",\n'), ["test", "ONLY=tests/project/test_locks.py"], "run make lock",
    ),
    "a server that imports pandas": (
        replaced("serve/app.py", "from functools import partial\n", "from functools import partial\nimport pandas\n"),
        ["test", "ONLY=tests/project/test_imports.py"], "imports_nothing_that_trains",
    ),
    "a lock that is not closed": (unlocked("starlette"), ["test", "ONLY=tests/project/test_locks.py"], "a_lock_holds_what_its_packages_need"),
    "an image that is published before the slow tests have run": (
        replaced(".github/workflows/ci.yml", "needs: [lint, test, train, image, slow, audit]", "needs: [lint, test, train, image, audit]"),
        ["test", "ONLY=tests/project/test_ci.py"], "nothing_is_published_before_everything_has_passed",
    ),
    "a model from the run of a fork": (
        replaced(".ci/chosen-champion", 'if [ "$facts" != ".github/workflows/train.yml main $GITHUB_REPOSITORY success" ]', 'if [ -z "$facts" ]'),
        ["test", "ONLY=tests/project/test_chosen_champion.py"], "a_run_that_is_not_ours_is_refused",
    ),
    "a command in README that does not exist": (
        replaced("README.md", "`make replay` plays", "`make fly` plays"), ["test", "ONLY=tests/flights/test_readme.py"], "every_make_target_that_readme_names",
    ),
    "a number in README that no run produced": (
        replaced("README.md", "than one on time | 0.", "than one on time | 0.9"), ["test", "ONLY=tests/flights/test_readme.py"], "the_numbers_of_readme",
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what is committed, set up, with a champion of the smoke config that passed."""
    clone = tmp_path_factory.mktemp("clone") / "tree"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    assert make(clone, "train", SMOKE).returncode == 0
    assert make(clone, "lint-files").returncode == 0
    assert make(clone, "test", "ONLY=tests/flights/test_readme.py").returncode == 0
    return clone


def make(tree: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MODEL_DIR", "MODEL", "SUITE")
    }
    return subprocess.run(
        ["make", *words],
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", CHANGES)
def test_it_does_not_get_through(tree: Path, name: str) -> None:
    change, words, because = CHANGES[name]
    change(tree)
    try:
        stopped = make(tree, *words)
    finally:
        subprocess.run(["git", "checkout", "--quiet", "."], cwd=tree, check=True)
    assert stopped.returncode != 0, stopped.stdout
    assert because in stopped.stdout


def test_the_table_of_the_docs_is_what_is_tried_here() -> None:
    text = (ROOT / "docs/ci.md").read_text().split("## Broken changes are stopped")[1].split("## ")[0]
    rows = re.findall(r"^\| (.*) \| `make ([a-z-]+)` \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(name, words[0], because) for name, (_, words, because) in CHANGES.items()]

"""README and the docs name only what there is, and all of it."""

import re
import subprocess

import pytest

from pipeline import errors
from pipeline.monitoring import monitor
from serve.settings import variables
from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_every_make_target_that_readme_names_exists_and_every_target_is_named() -> None:
    named = set(re.findall(r"(?:`|^|\$ )make ([a-z-]+)", README, re.MULTILINE))
    assert named == TARGETS - {"help"}


def test_help_fits_a_screen_and_help_all_lists_every_target() -> None:
    everyday, every = (
        subprocess.run(["make", "-s", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in ([], ["help-all"])
    )
    assert len(everyday.splitlines()) <= 30
    assert set(re.findall(r"^  ([a-z-]+)  ", every, re.MULTILINE)) == TARGETS - {"help", "help-all"}
    assert set(re.findall(r"\.PHONY: (.*)", MAKEFILE)[0].split()) == TARGETS | {".stale"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "CONFIG=configs/churn.yaml"], "CONFIG is MODEL now"),
        (["test", "SUITE=soak"], "SUITE=soak: there is no such suite. There are: broken clients"),
    ],
)
def test_make_answers_an_old_or_unknown_word(words: list[str], said: str) -> None:
    ended = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def test_one_variable_says_which_model_every_target_works_on() -> None:
    """Nothing that stands for the flights is left in what make would run for another one."""
    taking = [
        "train",
        "retrain",
        "refresh",
        "monitor",
        "replay",
        "history",
        "promote",
        "rollback",
        "mlflow",
        "challenge",
    ]
    taking += ["serve", "image", "try", "summary", "sbom", "up", "down"]
    for target in taking:
        printed = subprocess.run(
            ["make", "-n", target, "MODEL=churn"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert "flights" not in printed, target
        assert "churn" in printed or target in ("try",), target


def tree() -> list[str]:
    """The paths of README's tree, folders with a slash at the end."""
    block = README.split("## What is in here")[1].split("```")[1].strip("\n")
    folders: list[str] = []
    paths = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        paths.append("".join(folders[:depth]) + name)
        if name.endswith("/"):
            folders = [*folders[:depth], name]
    return paths


def test_every_file_of_the_tree_exists_and_every_module_is_in_it() -> None:
    listed = tree()
    assert [path for path in listed if not (ROOT / path).exists()] == []
    modules = [
        path.relative_to(ROOT).as_posix() for folder in ("src", "serve") for path in (ROOT / folder).rglob("*.py")
    ]
    modules += [path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").iterdir()]
    assert {path for path in modules if not path.endswith("__init__.py")} <= set(listed)


def test_every_setting_of_the_server_is_documented() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", README, re.MULTILINE))
    assert rows == {name: default for name, (default, _) in variables().items()}


def test_the_exit_codes_are_those_of_the_errors() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", README, re.MULTILINE)}  # 130 and 143 are signals
    raised = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert codes == raised | set(monitor.VERDICTS)


def test_links_inside_the_repository_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []

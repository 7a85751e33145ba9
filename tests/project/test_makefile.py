"""make: a help of one screen, one variable for every target, and answers to old or unknown words."""

import re
import subprocess

import pytest

from tests.support import ROOT
from tests.support.pages import TARGETS

TAKING_A_MODEL = [
    "train", "retrain", "refresh", "monitor", "skew", "replay", "history", "promote", "rollback", "mlflow", "challenge",
    "serve", "image", "try", "summary", "sbom", "up", "down", "notebook",
]  # fmt: skip


def make(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_fits_a_screen_and_help_all_lists_every_target() -> None:
    everyday, every = make("-s").stdout, make("-s", "help-all").stdout
    assert 10 < len(everyday.splitlines()) <= 30
    assert set(re.findall(r"^  ([a-z-]+)  ", every, re.MULTILINE)) == TARGETS - {"help", "help-all"}


def test_every_target_is_phony() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(" ".join(re.findall(r"\.PHONY: (.*)", makefile)).split()) == TARGETS | {".stale"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "CONFIG=configs/churn.yaml"], "CONFIG is MODEL now"),
        (["test", "SUITE=soak"], "SUITE=soak: there is no such suite. There are: "),
    ],
)
def test_make_answers_an_old_or_unknown_word(words: list[str], message: str) -> None:
    ended = make("-n", *words)
    assert (ended.returncode, message in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize("target", TAKING_A_MODEL)
def test_one_variable_says_which_model_a_target_works_on(target: str) -> None:
    """Nothing that stands for the default model is left in what make would run for another one."""
    default = re.findall(r"^MODEL \?= (\w+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0]
    printed = make("-n", target, "MODEL=another_model").stdout
    assert not re.search(rf"(models/|configs/|log/|MODEL=|--tag |\.py ){default}\b", printed)
    assert "another_model" in printed or target == "try"  # `try` takes it from the environment

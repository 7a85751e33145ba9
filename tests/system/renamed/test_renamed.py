"""A clone that somebody makes their own: a table, `make new`, `make rename` without the flights, and all is green."""

import csv
import math
import os
import random
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
OURS = ("MAKEFLAGS", "MODEL_DIR", "MODEL", "IMAGE", "SUITE")


def customers(path: Path) -> None:
    """Three thousand customers; the new ones, the expensive ones and those of the basic plan leave more often."""
    draw = random.Random(0)
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["plan", "months", "charge", "churned"])
        for _ in range(3_000):
            plan, months, charge = draw.choice(["basic", "plus"]), draw.randint(1, 60), round(draw.uniform(5, 90), 2)
            odds = 0.3 + (plan == "basic") - months / 20 + charge / 60
            churned = draw.random() < 1 / (1 + math.exp(-odds))
            rows.writerow([plan, months, charge, "yes" if churned else "no"])


def make(folder: Path, *words: str) -> str:
    """What targets that succeed print."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    ended = subprocess.run(
        ["make", *words], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-5000:]
    return ended.stdout


def commit(folder: Path) -> None:
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    identity = ["-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "a step"], cwd=folder, check=True)


@pytest.fixture(scope="session")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what is committed, with a table, a config, new names, and without the flights."""
    clone = tmp_path_factory.mktemp("clone") / "churn"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    customers(clone / "data/churn.csv")
    make(clone, "new", "NAME=churn", "CSV=data/churn.csv", "TARGET=churned")
    commit(clone)

    make(clone, "rename", "NAME=churn", "TITLE=Will a customer leave?", "OWNER=Ada Lovelace", "WITHOUT=flights")
    commit(clone)
    return clone


def test_the_code_that_is_left_is_clean(mine: Path) -> None:
    make(mine, "lint")


def test_the_pages_that_are_left_are_a_site(mine: Path) -> None:
    """A page or a heading that went with the flights, and is still linked to, stops the build."""
    make(mine, "docs")


def test_the_tests_that_are_left_pass(mine: Path) -> None:
    assert " passed" in make(mine, "test")


def test_the_table_is_trained_and_served_by_default(mine: Path) -> None:
    assert "The champion of churn is models/churn/" in make(mine, "train")
    assert '"model":"churn"' in make(mine, "try")

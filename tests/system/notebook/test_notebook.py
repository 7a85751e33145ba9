"""The notebook, run from top to bottom in a copy of this tree: for each kind of config, and for tables that `make new` met."""

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
ALWAYS = {"outcome-picture", "features-picture", "features-profiles", "variance-picture"}
WITH_GROUPS = ALWAYS | {"missing-picture", "correlation-picture", "groups-picture"}
WITH_TIME = {"clock-picture", "days-picture", "order-picture"}
MODELS = {
    "penguins": WITH_GROUPS,
    "churn": ALWAYS | {"groups-picture"},
    "sales": WITH_GROUPS - {"missing-picture"} | WITH_TIME,
}
# <flights>
FLIGHTS = WITH_GROUPS | WITH_TIME | {"weather-picture", "routes-picture"}
MODELS |= {"flights": FLIGHTS, "flights_minutes": FLIGHTS}
# </flights>


class Run(NamedTuple):
    """The folder that a run has written, the cells of its notebook, and its page."""

    folder: Path
    cells: list[dict[str, Any]]
    page: str

    def outputs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for cell in self.cells:
            for output in cell.get("outputs", []):
                yield cell["id"], output


def churn(path: Path) -> list[str]:
    """Customers; those of the basic plan leave more often."""
    draw = random.Random(0)
    rows = [["plan", "months", "charge", "churned"]]
    for _ in range(600):
        plan = draw.choice(["basic", "plus"])
        left = draw.random() < (0.6 if plan == "basic" else 0.2)
        rows.append([plan, draw.randint(1, 60), round(draw.uniform(5, 90), 2), "yes" if left else "no"])
    write(path, rows)
    return ["churned"]


def sales(path: Path) -> list[str]:
    """Sales of ten weeks, a number; more in the afternoon, and more where it is warm."""
    draw = random.Random(0)
    rows = [["sold_at", "shop", "warmth", "rain", "visitors", "amount"]]
    for day in range(70):
        warmth = draw.gauss(15, 5)
        rain = draw.expovariate(0.5)
        for hour in (9, 11, 14, 17, 19):
            time = datetime(2024, 3, 1, hour, draw.randint(0, 59)) + timedelta(days=day)
            amount = 20 + 2 * warmth + 3 * hour + draw.gauss(0, 8)
            shop = draw.choice(["north", "south"])
            weather = [round(warmth + draw.gauss(0, 1), 1), round(rain, 1)]
            rows.append([time.isoformat(" "), shop, *weather, draw.randint(5, 80), round(amount, 2)])
    write(path, rows)
    return ["amount"]


def write(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def run(folder: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the notebook reads, with two tables and the configs that `make new` has written for them."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("notebooks", "configs", "data", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for table in (churn, sales):
        target = table(folder / f"data/{table.__name__}.csv")[0]
        name = table.__name__
        ended = run(folder, "-m", "pipeline", "new", NAME=name, CSV=f"data/{name}.csv", TARGET=target, POSITIVE="")
        assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def notebook(copy: Path) -> Callable[[str], Run]:
    """Runs the notebook for a model, once."""
    runs: dict[str, Run] = {}

    def once(model: str) -> Run:
        if model not in runs:
            ended = run(copy, "notebooks/run.py", MODEL=model)
            folder = copy / f"reports/{model}.notebook"
            assert ended.returncode == 0, ended.stderr
            assert ended.stdout.endswith(f": reports/{model}.notebook/explore.html\n")
            cells = json.loads((folder / "explore.ipynb").read_text(encoding="utf-8"))["cells"]
            runs[model] = Run(folder, cells, (folder / "explore.html").read_text(encoding="utf-8"))
        return runs[model]

    return once


@pytest.mark.parametrize("model", MODELS)
def test_every_cell_runs_and_every_picture_is_there(model: str, notebook: Callable[[str], Run]) -> None:
    """And those alone that fit the data: nothing about time where there is none, nothing about flights elsewhere."""
    found = notebook(model)
    pictures = set()
    for name, output in found.outputs():
        assert output["output_type"] != "error", name
        assert output.get("name") != "stderr", (name, output["text"])
        if "image/png" in output.get("data", {}):
            assert output["metadata"]["image/png"]["alt"], name
            pictures.add(name)
    assert pictures == MODELS[model]
    titles = {cell["id"] for cell in found.cells if cell["cell_type"] == "markdown"}
    for title in ("days", "weather"):
        assert (title in titles) == (f"{title}-picture" in pictures), title


@pytest.mark.parametrize("model", MODELS)
def test_every_finding_names_a_place_that_uses_it(model: str, copy: Path, notebook: Callable[[str], Run]) -> None:
    table = "".join(notebook(model).cells[-1]["outputs"][0]["data"]["text/markdown"])
    findings = table.splitlines()[2:]
    assert len(findings) >= 6
    for finding in findings:
        places = re.findall(r"`([\w./]+)`, line (\d+)\]\(\.\./([\w./]+)#L(\d+)\)", finding)
        assert places, finding
        for path, number, linked, line in places:
            assert (path, number) == (linked, line)
            assert int(line) <= len((copy / path).read_text(encoding="utf-8").splitlines())
    assert not [finding for finding in findings if "nan" in finding]


@pytest.mark.parametrize("model", MODELS)
def test_the_page_loads_nothing_and_the_markdown_has_its_pictures(model: str, notebook: Callable[[str], Run]) -> None:
    found = notebook(model)
    loaded = re.findall(r"(?:src|href)=\"(?!data:|#|\.\./)([^\"]*)", found.page)
    assert loaded + re.findall(r"@import|url\(", found.page) == []
    linked = re.findall(r'href="(\.\./[^"#]*)', found.page)
    assert linked
    assert [path for path in linked if not (found.folder / path).resolve().is_file()] == []

    text = (found.folder / "explore.md").read_text(encoding="utf-8")
    assert set(re.findall(r"!\[[^\]]+\]\(pictures/([\w-]+)\.png\)", text)) == MODELS[model]
    assert {path.stem for path in (found.folder / "pictures").iterdir()} == MODELS[model]


def test_the_rows_of_the_holdout_are_not_among_them(copy: Path) -> None:
    """Sales of the last days are the holdout; the rows end before it begins, and none of the others is missing."""
    code = "from rows import before_holdout; r = before_holdout('sales'); print(r.holdout, r.frame['sold_at'].max(), len(r.frame), sep='|')"
    ended = run(copy / "notebooks", "-c", code)
    assert ended.returncode == 0, ended.stderr
    holdout, last, rows = ended.stdout.strip().split("|")
    begin = datetime.strptime(holdout.partition(" to ")[0], "%d %b %Y")
    table = list(csv.DictReader((copy / "data/sales.csv").open(encoding="utf-8")))
    earlier = [row for row in table if datetime.fromisoformat(row["sold_at"]) < begin]
    assert 0 < len(earlier) < len(table)
    assert (datetime.fromisoformat(last) < begin, int(rows)) == (True, len(earlier))


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [("nothing", 2, "configs/nothing.yaml"), ("lost", 3, "data/lost.csv: no such file")],
)
def test_a_config_or_data_that_is_not_there_is_one_sentence(copy: Path, model: str, code: int, message: str) -> None:
    text = (copy / "configs/churn.yaml").read_text(encoding="utf-8")
    (copy / "configs/lost.yaml").write_text(text.replace("churn", "lost"), encoding="utf-8")
    ended = run(copy, "notebooks/run.py", MODEL=model)
    assert (ended.returncode, ended.stderr.startswith("error: "), ended.stdout) == (code, True, ""), ended.stderr
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_finding_whose_use_has_gone_stops_the_notebook(copy: Path) -> None:
    code = "from page import Page; Page('penguins').found('It is so.', '', 'src/pipeline/data/split.py', 'def by_moon')"
    ended = run(copy / "notebooks", "-c", code)
    assert "src/pipeline/data/split.py has no line that begins with 'def by_moon'" in ended.stderr

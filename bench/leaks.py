"""`make bench SUITE=leaks`: build leaks into the flights, train on each, and write what the gates say to docs/leaks.md.

It uses a random share of the flights, takes about a quarter of an hour, and does not need a quiet machine. `python
bench/leaks.py NAME …` runs the named cases alone and writes nothing.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import leak_cases
import numpy as np
import pandas as pd
from leak_cases import CASES, Case, Table

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "leaks.md"
SHARE = 0.2  # of the flights, drawn at random from every day
AT_ONCE = 2
SHOWN = ("below the champion's", "by one feature")  # the gates in the line of a case that passes
LAST = (" by origin", " by carrier", " without ")  # in the gates that are named last
BEGIN = "<!-- leaks -->"
END = "<!-- /leaks -->"
SETTINGS = [
    "dataset=leaky",
    "data.max_same_key=0.002",
    "candidates={boosting: {max_iter: 100, learning_rate: 0.08, min_samples_leaf: 200, max_features: 0.3}}",
    "search={sample: 1.0, kinds: {boosting: {trials: 1, space: {learning_rate: {low: 0.05, high: 0.1}}}}}",
    "masking.groups={}",
    "train.workers=1",
    "train.resamples=200",
]


def main(names: list[str]) -> None:
    """Run all cases, or the named ones, two at a time. With all cases, write the table to the page."""
    cases = [case for case in CASES if case.name in names or not names]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        champions = dict.fromkeys(case.champion_lacks for case in cases)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda lacks: start(folder, "champion", lacks), champions))
            results = list(pool.map(lambda case: start(folder, case.name, case.champion_lacks), cases))

    lines = [table_line(case, result) for case, result in zip(cases, results, strict=True)]
    print("\n".join(lines))
    if not names:
        write(lines)


def start(folder: Path, name: str, lacks: tuple[str, ...]) -> dict[str, Any]:
    """Train one case, or the champion without the features in `lacks`, in a process of its own. Return its result."""
    champion = folder / "-".join(["champion", *lacks])
    work = champion
    if name != "champion":
        work = folder / name.replace(" ", "-")
        shutil.copytree(champion, work)

    command = [sys.executable, __file__, "--train", str(work), name, *lacks]
    subprocess.run(command, check=True, cwd=ROOT)
    result: dict[str, Any] = json.loads((work / "result.json").read_text())
    print(f"{name}: {result['verdict']}: {'; '.join(result['reasons'])}", flush=True)
    return result


def train(work: Path, name: str, lacks: tuple[str, ...]) -> None:
    """Train on the flights with the leak of a case built in, and write the gates' results to `result.json`."""
    from rich.console import Console

    from pipeline.errors import DataError, RefusedError
    from pipeline.training import train as training

    work.mkdir(exist_ok=True)
    case = next((case for case in CASES if case.name == name), Case("champion", leak_cases.unchanged))
    config = load_case(work, case, lacks if name == "champion" else ())
    try:
        training.run(config, Console(quiet=True))
    except RefusedError:
        pass
    except DataError as error:
        write_result(work, "refused", [str(error).partition(". ")[0]])
        return

    records = (work / "models" / "flights").glob("*/record.json")
    record = json.loads(max(records, key=lambda path: path.stat().st_mtime).read_bytes())
    refused = [gate for gate in record["gates"] if not gate["passed"]]
    warned = [gate for gate in record["gates"] if gate["passed"] and gate["warning"]]
    notable = [f"{gate['gate']}: {gate['value']}" for gate in [*refused, *warned]]
    shown = [f"{gate['gate']}: {gate['value']}" for gate in record["gates"] if gate["gate"].endswith(SHOWN)]
    verdict = "refused" if refused else "warned" if warned else "passed"
    write_result(work, verdict, notable or shown)


def write_result(work: Path, verdict: str, reasons: list[str]) -> None:
    (work / "result.json").write_text(json.dumps({"verdict": verdict, "reasons": reasons}))


def load_case(work: Path, case: Case, lacks: tuple[str, ...]) -> Any:
    """Build the leak in, make the rows the dataset `leaky`, and return the config that trains on them."""
    from pipeline.config.config import load
    from pipeline.datasets import flights
    from pipeline.runtime.dataset import Loaded

    config = load(ROOT / "configs/flights.yaml")
    raw = pd.read_csv(flights.package_files()["flights.csv.zip"])
    raw, _ = flights.with_outcome(raw)
    rows = np.flatnonzero(np.random.default_rng(3 if case.other_rows else 0).random(len(raw)) < SHARE)

    frame = leak_cases.load_frame(config, case.lag_hours)
    built = case.build(Table(frame, raw, np.random.default_rng(1)))
    frame = built.take(rows).reset_index(drop=True)
    if case.copy_share:
        frame = leak_cases.with_copies(frame, case.copy_share, np.random.default_rng(2))

    def load_frame(_: Path | None, columns: Mapping[str, Any]) -> Loaded:
        return Loaded(frame[[name for name in columns if name in frame]], {}, {})

    module = ModuleType("pipeline.datasets.leaky")
    attributes = {"__file__": flights.__file__, "load": load_frame, "derive": flights.derive}
    vars(module).update(attributes)
    sys.modules[module.__name__] = module

    overrides = [*SETTINGS, *places(work), *case.overrides]
    for column, declared in case.columns.items():
        overrides.append(f"columns.{column}={declared}")
    features = [*config.features, *case.features]
    overrides.append(f"features=[{', '.join(name for name in features if name not in lacks)}]")
    return load(ROOT / "configs/flights.yaml", overrides)


def places(work: Path) -> list[str]:
    return [
        f"paths.models={work}/models",
        f"paths.reports={work}/reports",
        f"paths.tracking=sqlite:///{work}/mlflow.db",
    ]


def table_line(case: Case, result: dict[str, Any]) -> str:
    """The case's line of the table. A leak that passes needs the reason why these data do not show it."""
    expected = "refused or warned" if case.is_leak else "passed"
    missed = case.is_leak == (result["verdict"] == "passed")
    reasons = shortened(result["reasons"])
    if missed and case.not_findable:
        reasons = f"not findable in these data, because {case.not_findable} ({reasons})"
    mark = f" (not {expected})" if missed else ""
    return f"| {case.name} | **{result['verdict']}**{mark} | {reasons} |"


def shortened(reasons: list[str]) -> str:
    """The first three reasons, those of slices and of left-out columns last, and the number of the others."""
    ordered = sorted(reasons, key=lambda reason: any(word in reason for word in LAST))
    more = f"; and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return "; ".join(ordered[:3]) + more


def write(lines: list[str]) -> None:
    """Put the table into the page, between its marks, with a heading for leaks and one for controls."""
    leaks = [line for case, line in zip(CASES, lines, strict=True) if case.is_leak]
    controls = [line for case, line in zip(CASES, lines, strict=True) if not case.is_leak]
    rule = "|---|---|---|"
    table = ["| leak | result | by which gate |", rule, *leaks, ""]
    table += ["| control | result | by which gate |", rule, *controls]

    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + "\n".join([BEGIN, *table, END]) + after, encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(Path(sys.argv[2]), sys.argv[3], tuple(sys.argv[4:]))
    else:
        main(sys.argv[1:])

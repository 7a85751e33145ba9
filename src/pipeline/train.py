"""The whole story in one function: raw rows to a champion. Read this first."""

import hashlib
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import bundle, clean, console, datasets, evaluate, model, registry, report, search, store
from pipeline.config import Config
from pipeline.evaluate import Interval
from pipeline.predict import Session
from pipeline.schema import Columns, Tensors, tensors
from pipeline.search import Standing
from pipeline.split import Split, sample, split, units

GOLDEN, BACKGROUND = 64, 200
LIBRARIES = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "mlflow")


class Outcome(NamedTuple):
    """What a training leaves. Without an opened holdout there is no bundle: nothing says how good it would be."""

    standings: list[Standing]
    holdout: dict[str, Interval]
    bundle: Path | None


class Examples(NamedTuple):
    """Clean rows in the three shapes they take: request columns, the model's inputs, and what came of them."""

    request: Columns
    data: Tensors
    target: NDArray[np.bool_]

    def take(self, rows: NDArray[Any]) -> "Examples":
        return Examples({n: v[rows] for n, v in self.request.items()}, self.data.take(rows), self.target[rows])


def run(config: Config, out: Console) -> Outcome:
    """Read, clean, compare, refit, export, check, judge, package, record, promote."""
    with working_folder(Path(config.paths.reports), config.name) as reports:
        with console.step(out, "Read and clean the data") as say:
            examples, about = read(config, reports)
            say(f"{len(examples.target):,} rows, {about['rows']['rejected']:,} rejected, {examples.target.mean():.1%} positive")
        parts = split(examples.request, config)
        with console.step(out, f"Compare {len(config.candidates.named())} candidates on {len(parts.folds)} folds") as say:
            standings = search.compare(config, examples.data, examples.target, parts.folds, say)
            best = standings[0]
            say(f"{best.name} wins with a log loss of {best.mean('log_loss'):.4f}")
        out.print(console.leaderboard(standings, search.baseline(examples.target, parts.folds, config.costs.threshold)))
        seen, kept = examples.take(parts.search), examples.take(parts.holdout)
        with console.step(out, f"Refit {best.name} on everything before the holdout") as say:
            say(f"{len(seen.target):,} rows")
            fitted = model.fit(
                best.settings, seen.data, seen.target,
                rare=config.train.rare, seed=config.train.seed, threads=config.train.workers,
            )  # fmt: skip
        with console.step(out, "Export to ONNX and check it against scikit-learn, row by row") as say:
            onnx = bundle.export(fitted, seen.data, config.name)
            session = Session(onnx)
            off = bundle.refuse_inexact(fitted, session, kept.data, config.train.seed)
            say(f"{len(kept.target):,} holdout rows and damaged copies, none off by more than {off:.1e}")
        figures: dict[str, Interval] = {}
        if config.split.test == "once":
            with console.step(out, f"Open the holdout, {parts.holdout_name}, once"):
                figures = judge(config, session, kept, parts.blocks[parts.holdout], standings, parts, reports)
            out.print(console.holdout(figures, parts.holdout_name))
        with console.step(out, "Package and record") as say, registry.run(config.name, config.paths.tracking) as run_id:
            folder = None
            if figures:
                record = {**about, "run_id": run_id, "candidate": best.name, "export_off": off, **facts(config, standings, parts)}
                folder = store.write(Path(config.paths.models) / config.name, package(config, onnx, session, seen, figures, record))
            registry.log(parameters(config, best), tracked(standings, figures), {"report": reports} | ({"bundle": folder} if folder else {}))
            say(str(folder) if folder else "no bundle, because split.test is none")
        if folder:
            store.promote(folder.parent, folder.name)
    return Outcome(standings, figures, folder)


def read(config: Config, reports: Path) -> tuple[Examples, dict[str, Any]]:
    """Valid rows, and what happened to the others: told in `data_report.json` and `rejected.csv` even where it is too much."""
    dataset = datasets.find(config.dataset)
    path = None if config.data.path is None else Path(config.data.path)
    raw = dataset.load(path, config.columns)
    cleaned = clean.clean(raw.frame, config.contract)
    rules = [{"column": b.column, "rule": b.rule, "action": b.action, "rows": len(b.values)} for b in cleaned.breaches]
    rows = {"loaded": len(raw.frame), "rejected": len(cleaned.rejected), "valid": len(cleaned.frame)}
    about = {"data": {"files": raw.hashes, "counts": raw.counts, "breaches": rules}, "rows": rows}
    (reports / "data_report.json").write_bytes(bundle.as_json(about))
    cleaned.rejected.to_csv(reports / "rejected.csv", index_label="row")
    clean.enforce(cleaned, config.data.max_rejected)
    columns = clean.frame_to_columns(cleaned.frame, config.contract)
    kept = sample(units(columns, config), config.data.sample, config.train.seed)
    request = {name: columns[name][kept] for name in config.request}  # all that `derive` may see: what a caller sends
    return Examples(request, tensors(dataset.derive(request), config.contract), columns[config.target][kept] == 1), about


def judge(
    config: Config, session: Session, kept: Examples, blocks: NDArray[np.int64], standings: list[Standing], parts: Split, reports: Path
) -> dict[str, Interval]:
    """The one look at the holdout: figures with intervals, and pictures, from the answers of the exported model."""
    said = session(kept.data)
    report.draw(reports, kept.target, said, config.costs.threshold, standings, [fold.name for fold in parts.folds])
    return evaluate.with_intervals(
        kept.target, said, blocks,
        threshold=config.costs.threshold, resamples=config.train.resamples, seed=config.train.seed,
    )  # fmt: skip


def package(
    config: Config, onnx: bytes, session: Session, seen: Examples, figures: dict[str, Interval], record: dict[str, Any]
) -> dict[str, bytes]:
    """Every file of the bundle by name. Answers and reference come from the exported model, which is what will answer."""
    rng = np.random.default_rng(config.train.seed)
    rows = np.sort(rng.choice(len(seen.target), size=min(GOLDEN + BACKGROUND, len(seen.target)), replace=False))
    golden, contrast = rows[:: max(1, len(rows) // GOLDEN)][:GOLDEN], rows[-BACKGROUND:]
    derive = datasets.find(config.dataset).derive
    asked = bundle.with_gaps(seen.take(golden).request, config.contract)
    answers = session(tensors(derive(asked), config.contract))
    files = {
        "model.onnx": onnx,
        "golden.json": bundle.golden(asked, config.contract, answers),
        "background.json": bundle.background(seen.take(contrast).request, config.contract),
        "reference.json": bundle.reference(derive(seen.request), config.contract, session(seen.data), seen.target),
        "record.json": bundle.as_json(record),
    }
    files["bundle.json"] = bundle.manifest(config.contract, config.costs.threshold, evaluate.rounded(figures), files)
    return files


def facts(config: Config, standings: list[Standing], parts: Split) -> dict[str, Any]:
    """What is true of this training and decides no prediction: when, with what, from which commit."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git.stdout.strip() or None,
        "config": hashlib.sha256(config.model_dump_json(exclude={"paths"}).encode()).hexdigest(),
        "dataset_module": datasets.module_hash(config.dataset),
        "folds": {s.name: [{k: round(v, 6) for k, v in fold.items()} for fold in s.folds] for s in standings},
        "windows": {"folds": [fold.name for fold in parts.folds], "holdout": parts.holdout_name},
        "trained_on": len(parts.search),
        "machine": {"platform": platform.platform(), "python": platform.python_version()},
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def parameters(config: Config, best: Standing) -> dict[str, Any]:
    return {
        "candidate": best.name,
        **{f"{best.name}.{key}": value for key, value in best.settings.model_dump().items()},
        "seed": config.train.seed,
        "sample": config.data.sample,
        "threshold": config.costs.threshold,
        "features": ", ".join(config.features),
    }


def tracked(standings: list[Standing], figures: dict[str, Interval]) -> dict[str, float]:
    """MLflow's names for the figures: folds by candidate, the holdout with the ends of its intervals."""
    folds = {f"folds.{s.name}.{metric}": s.mean(metric) for s in standings for metric in s.folds[0]}
    ends = {f"holdout.{metric}.{end}": value for metric, f in figures.items() for end, value in f._asdict().items()}
    return {name: value for name, value in {**folds, **ends}.items() if np.isfinite(value)}


@contextmanager
def working_folder(home: Path, name: str) -> Iterator[Path]:
    """A folder that takes the place of `home/name` when the work is over, well or badly, and not before."""
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=home) as temporary:
        work, final = Path(temporary) / name, home / name
        work.mkdir()
        try:
            yield work
        finally:
            if final.exists():
                final.rename(Path(temporary) / "before")
            work.rename(final)

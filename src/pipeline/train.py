"""The whole story in one function: raw rows to a champion. Read this first."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import bundle, clean, console, datasets, evaluate, export, gates, model, registry, report, search, store
from pipeline.candidates import Settings
from pipeline.config import Config
from pipeline.errors import BundleError, ConfigError, RefusedError
from pipeline.evaluate import Interval
from pipeline.predict import Session, load
from pipeline.schema import Examples, tensors
from pipeline.search import Standing
from pipeline.split import Fold, Split, blocks, keys, sample, split


class Outcome(NamedTuple):
    """What a training leaves. Without an opened holdout there is no bundle: nothing says how good it would be."""

    standings: list[Standing]
    holdout: dict[str, Interval]
    bundle: Path | None


def run(config: Config, out: Console) -> Outcome:
    """Read, clean, search, refit, export, check, judge, ask the gates, package, record, promote.

    Raises RefusedError where a gate refuses: the bundle is there then, and the champion as it was.
    """
    make_folders(config)
    registry.connect(config.name, config.paths.tracking)
    with working_folder(Path(config.paths.reports), config.name) as reports:
        with console.step(out, "Read and clean the data") as say:
            examples, key, about = read(config, reports)
            rejected, positive = about["rows"]["rejected"], examples.target.mean()
            say(f"{len(examples.target):,} rows, {positive:.1%} positive; {rejected:,} rejected")
        parts = split(key, config.split)
        trials, standings = compare(config, examples, key, parts.folds, out)
        best = search.choose(standings)
        baseline = search.baseline(examples.target, parts.folds, config.costs.threshold)
        out.print(console.leaderboard(standings, best, baseline))
        if best.mean("log_loss") >= baseline["log_loss"]:
            raise RefusedError(f"{best.name}, the best candidate, is no better than the base rate. It may not go out")
        seen, kept = examples.take(parts.search), examples.take(parts.holdout)
        with console.step(out, f"Refit {best.name} on everything before the holdout") as say:
            fitted = model.fit(best.settings, seen.data, seen.target, config.train, threads=config.train.workers)
            say(f"{len(seen.target):,} rows")
        with console.step(out, "Export to ONNX and compare with scikit-learn, row by row") as say:
            onnx = export.to_onnx(fitted, seen.data, config.name)
            session = Session(onnx)
            off = export.refuse_inexact(fitted, session, kept.data, config.train.seed)
            say(f"{len(kept.target):,} holdout rows and damaged copies, none off by more than {off:.1e}")
        if config.split.test == "none":
            with console.step(out, "Record"), registry.run():
                record_run(config, best, trials, standings, {}, {"report": reports})
            return Outcome(standings, {}, None)
        with console.step(out, f"Open the holdout, {parts.holdout_name}, once"):
            unit = blocks(key[parts.holdout])
            said = session(kept.data)
            holdout = judge(config, kept, said, unit)
            shown = [best, *(s for s in standings if s is not best and not s.error)]
            report.draw(reports, kept.target, said, config.costs.threshold, shown)
        out.print(console.holdout(holdout))
        record = {"export_off": off, **about, **story(best, standings, parts), **bundle.facts(config)}
        files = bundle.package(config, onnx, seen, holdout, record)
        models = Path(config.paths.models) / config.name
        with console.step(out, "Ask every gate") as say:
            size = sum(map(len, files.values()))
            old = champion_says(models, kept, store.digest(files["bundle.json"]), said)
            verdicts = gates.verdicts(config, gates.Evidence(seen, kept, unit, said, old, holdout, session, size))
            refused = [verdict for verdict in verdicts if not verdict.passed]
            say(f"{len(refused)} of {len(verdicts)} refuse" if refused else f"all {len(verdicts)} pass")
        out.print(console.gates(verdicts))
        with console.step(out, "Package and record") as say, registry.run() as run_id:
            record |= {"run_id": run_id, "gates": [verdict._asdict() for verdict in verdicts]}
            folder = store.write(models, {**files, "record.json": bundle.as_json(record)})
            record_run(config, best, trials, standings, holdout, {"report": reports, "bundle": folder})
            say(str(folder))
        if refused:
            raise RefusedError(refusal(refused, folder))
        store.promote(models, folder.name)
    return Outcome(standings, holdout, folder)


def compare(
    config: Config, examples: Examples, key: NDArray[Any], folds: list[Fold], out: Console
) -> tuple[list[Standing], list[Standing]]:
    """Every trial on a sample of the days, and then the best of each kind on all rows."""
    data, target, named = examples.data, examples.target, config.candidates.named()
    with console.step(out, f"Try whether each of {len(named)} candidates can be exported") as say:
        search.refuse_unfit(data, target, folds, config)
        say(", ".join(named))
    with console.step(out, f"Search on {config.search.sample:.0%} of the days") as say:
        trials = search.trials(config, data, target, folds, blocks(key), say)
        lost = [trial for trial in trials if trial.error]
        say(
            f"{len(trials)} trials"
            + (f", {len(lost)} lost, the first to {lost[0].name}: {lost[0].error}" if lost else "")
        )
    with console.step(out, f"Judge the best of each kind on all rows of {len(folds)} folds") as say:
        standings = search.standings(config, data, target, folds, search.best_of_each(trials), say)
        say(f"{min(standings, key=lambda s: s.mean('log_loss')).name} has the lowest log loss")
    return trials, standings


def read(config: Config, reports: Path) -> tuple[Examples, NDArray[Any], dict[str, Any]]:
    """Valid rows, and what happened to the others: in `data_report.json` and `rejected.csv`, even if too many."""
    dataset = datasets.find(config.dataset)
    path = None if config.data.path is None else Path(config.data.path)
    raw = dataset.load(path, config.columns)
    cleaned = clean.clean(raw.frame, config.contract)
    rows = {"loaded": len(raw.frame), "rejected": len(cleaned.rejected), "valid": len(cleaned.frame)}
    about = {
        "data": {"files": raw.hashes, "counts": raw.counts, "rules": clean.counts(cleaned, config.contract)},
        "rows": rows,
    }
    (reports / "data_report.json").write_bytes(bundle.as_json(about))
    cleaned.rejected.to_csv(reports / "rejected.csv", index_label="row")
    clean.enforce(cleaned, config.data.max_rejected, f"{config.paths.reports}/{config.name}.failed/rejected.csv")
    columns = clean.frame_to_columns(cleaned.frame, config.contract)
    key = keys(columns, config)
    kept = sample(blocks(key), config.data.sample, config.train.seed)
    request = {name: columns[name][kept] for name in config.request}  # all that `derive` may see
    derived = dataset.derive(request)
    if missing := [name for name in config.features if name not in derived]:
        raise ConfigError(f"features: {missing[0]} is not made by `derive` of the dataset {config.dataset}")
    data = tensors(derived, config.contract)
    return Examples(request, data, columns[config.target][kept] == 1), key[kept], about


def judge(config: Config, kept: Examples, said: NDArray[Any], unit: NDArray[np.int64]) -> dict[str, Interval]:
    """The one look at the holdout: figures with intervals from the answers of the exported model."""
    search.refuse_uniform(kept.target, config.target, "the holdout")
    return evaluate.with_intervals(
        kept.target,
        said,
        unit,
        threshold=config.costs.threshold,
        resamples=config.train.resamples,
        seed=config.train.seed,
    )


def champion_says(models: Path, kept: Examples, digest: str, said: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The present champion's answers on the holdout: `said` where it is this very model, None where there is none.

    Raises RefusedError where it cannot be asked: what it would have said is not known then.
    """
    present = store.champion(models)
    if present is None or present.name == digest:
        return None if present is None else said
    try:
        return load(present).predict(kept.request)
    except (BundleError, KeyError) as error:  # a column that it needs may be gone from the contract
        raise RefusedError(
            f"the champion {present.name} cannot be asked about the holdout, so nothing is held against it ({error}). "
            f"Bring back what it was made with or, to begin without a champion, remove {models / store.POINTER}"
        ) from error


def refusal(refused: list[gates.Verdict], folder: Path) -> str:
    reasons = "; ".join(f"{verdict.gate}: {verdict.value}, allowed {verdict.limit}" for verdict in refused)
    return f"this model may not go out. {reasons}. It stays in {folder}; the champion is as it was"


def record_run(
    config: Config,
    best: Standing,
    trials: list[Standing],
    standings: list[Standing],
    holdout: dict[str, Interval],
    folders: dict[str, Path],
) -> None:
    """Into the open MLflow run: the training's own, and a run below it for every trial and candidate."""
    registry.log(parameters(config, best), tracked(standings, holdout), folders)
    for kind, tried in (("trial", trials), ("all rows", standings)):
        for standing in tried:
            registry.child(f"{kind}: {standing.name}", flat(standing.settings), figures_of(standing))


def story(best: Standing, standings: list[Standing], parts: Split) -> dict[str, Any]:
    """How the choice was made, for the record."""
    return {
        "candidate": best.name,
        "settings": best.settings.model_dump(),
        "candidates": {
            s.name: {fold: {k: round(v, 6) for k, v in figures.items()} for fold, figures in s.folds.items()}
            for s in standings
        },
        "holdout": parts.holdout_name,
        "trained_on": len(parts.search),
    }


def parameters(config: Config, best: Standing) -> dict[str, Any]:
    return {
        "candidate": best.name,
        **{f"{best.name}.{key}": value for key, value in flat(best.settings).items()},
        "seed": config.train.seed,
        "sample": config.data.sample,
        "threshold": config.costs.threshold,
        "features": ", ".join(config.features),
    }


def tracked(standings: list[Standing], figures: dict[str, Interval]) -> dict[str, float]:
    """MLflow's names for the figures: folds by candidate, the holdout with the ends of its intervals."""
    folds = {f"folds.{s.name}.{metric}": value for s in standings for metric, value in figures_of(s).items()}
    ends = {f"holdout.{metric}.{end}": value for metric, f in figures.items() for end, value in f._asdict().items()}
    return {name: value for name, value in {**folds, **ends}.items() if np.isfinite(value)}


def figures_of(standing: Standing) -> dict[str, float]:
    """Means over the folds, those that exist."""
    if standing.error:
        return {}
    means = {metric: standing.mean(metric) for metric in next(iter(standing.folds.values()))}
    return {metric: value for metric, value in means.items() if np.isfinite(value)}


def flat(settings: Settings) -> dict[str, Any]:
    """Settings under one level of names; a blend has settings in settings."""
    values = settings.model_dump()
    nested = {
        f"{key}.{inner}": v for key, value in values.items() if isinstance(value, dict) for inner, v in value.items()
    }
    return {key: value for key, value in values.items() if not isinstance(value, dict)} | nested


@contextmanager
def working_folder(home: Path, name: str) -> Iterator[Path]:
    """A folder that takes the place of `home/name` when all went well, and of `home/name.failed` when not."""
    with tempfile.TemporaryDirectory(prefix=f".unfinished-{name}-", dir=home) as temporary:
        work, final = Path(temporary) / name, home / f"{name}.failed"
        work.mkdir()
        try:
            yield work
            final = home / name
        finally:
            for old in {final, home / f"{name}.failed"}:
                if old.exists():
                    old.rename(Path(temporary) / f"old-{old.name}")
            work.rename(final)


def make_folders(config: Config) -> None:
    """Raise ConfigError where models or reports cannot be written, before any work is done."""
    for key, folder in (("models", Path(config.paths.models) / config.name), ("reports", Path(config.paths.reports))):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise ConfigError(f"paths.{key}: {folder} cannot be written: {error.strerror}") from None

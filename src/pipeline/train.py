"""The whole story in one function: raw rows to a champion. Read this first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import (
    bundle,
    clean,
    console,
    datasets,
    evaluate,
    export,
    gates,
    memory,
    model,
    promotion,
    record,
    registry,
    report,
    rival,
    search,
    store,
)
from pipeline.config import Config
from pipeline.errors import ConfigError, RefusedError
from pipeline.evaluate import Bootstrap, Interval, Slice
from pipeline.memory import Recalled
from pipeline.predict import Session
from pipeline.schema import Columns, Examples, tensors
from pipeline.search import Standing
from pipeline.split import Fold, blocks, day_after, first_day, keys, row_keys, sample, split
from pipeline.workplace import make_folders, working_folder

UNITS = {"time": "days", "group": "groups", "row": "rows"}


class Outcome(NamedTuple):
    """What a training leaves; `news` where it is a new champion.

    Without an opened holdout there is no bundle: nothing says how good it would be.
    """

    standings: list[Standing]
    holdout: dict[str, Interval]
    bundle: Path | None
    news: bool = False


class Rows(NamedTuple):
    """Valid rows, what decides where each belongs, a number that tells each from every other, facts for the record,
    names of values, and what the features that remember begin with.
    """

    examples: Examples
    key: NDArray[Any]
    row_key: NDArray[np.uint64]
    about: dict[str, Any]
    names: Mapping[str, Mapping[str, str]]
    recalled: Recalled | None


class Made(NamedTuple):
    """The exported model, ready to answer, and how far it is off what was exported."""

    onnx: bytes
    session: Session
    off: float


class Judged(NamedTuple):
    """What the one look at the holdout gave: the model's answers, and its figures on all rows and on each slice."""

    said: NDArray[np.float64]
    unit: NDArray[np.int64]
    figures: dict[str, Interval]
    slices: list[Slice]


def run(config: Config, out: Console, *, everything: bool = False) -> Outcome:
    """Read, clean, search, refit, export, judge, ask the gates, package, record, register, promote.

    With `everything` the same settings learn once more after the holdout has judged them, from all rows, and that is
    what goes out. Raises RefusedError where a gate refuses: the bundle is there then, and the champion as it was.
    """
    models, home = promotion.home(config), Path(config.paths.reports)
    make_folders(models=models, reports=home)
    registry.connect(config.name, config.paths.tracking)
    for mended in promotion.reconcile(config):
        out.print(f"Mended: {mended}", soft_wrap=True, highlight=False)
    with working_folder(home, config.name) as reports, registry.run(reports.parent.name) as run_id:
        with console.step(out, "Read and clean the data") as say:
            rows = read(config, reports)
            say(f"{len(rows.key):,} rows, {typical(rows.examples.target)}; {rows.about['rows']['rejected']:,} rejected")
        parts = split(rows.key, config.split)
        seen, kept = rows.examples.take(parts.search), rows.examples.take(parts.holdout)
        trials, standings = compare(config, rows, parts.folds, out)
        best = search.choose(standings, config.loss)
        baseline = search.baseline(rows.examples.target, parts.folds, config.threshold)
        out.print(console.leaderboard(standings, best, baseline, config.loss, trials))
        made = refit(config, best, seen, kept, "everything before the holdout", out)
        learnt = rows.examples if everything else seen
        about = {
            **rows.about,
            **record.story(best, standings, parts, rows.key, len(learnt.target)),
            **bundle.facts(config),
        }
        tried = {"trial": trials, "all rows": standings}
        drawn = report.of_search(config, trials, standings, best)
        if config.split.test == "none":
            report.draw(reports, config.task, drawn)
            with console.step(out, "Record"):
                record.into_run(config, best, tried, {}, about, reports)
            return Outcome(standings, {}, None)
        with console.step(out, f"Open the holdout, {parts.holdout_name}, once"):
            judged = judge(config, kept, made.session(kept.data), blocks(rows.key[parts.holdout]))
            report.draw(reports, config.task, drawn | report.of_holdout(config, kept, judged.said, made.session))
        out.print(console.holdout(judged.figures))
        about["slices"] = record.of_slices(judged.slices)
        final = refit(config, best, learnt, kept, "everything", out) if everything else made
        about["export_off"] = off = max(made.off, final.off)
        files = bundle.package(config, final.onnx, learnt, judged.figures, rows.names, rows.recalled)
        files |= bundle.to_show(config, kept, reports)
        row_key = rows.row_key[parts.holdout]
        digest = store.digest(files["bundle.json"])
        first = first_day(rows.key[parts.holdout])
        old = rival.rival(models, config.contract, digest, kept.request, row_key, judged.said, first)
        size = sum(map(len, files.values()))
        verdicts = ask(config, gates.Evidence(seen, kept, *judged, old, off, final.session, size), out)
        with console.step(out, "Package, record and register") as say:
            about |= {"run_id": run_id, "gates": [verdict._asdict() for verdict in verdicts]}
            folder = store.write(models, {**files, "record.json": bundle.as_json(about)})
            rival.remember(models, folder.name, row_key, judged.said)
            record.into_run(config, best, tried, judged.figures, about, reports)
            registry.log_folder(folder, "bundle")
            tags = record.version_tags(best, judged.figures, verdicts, about)
            say(f"{folder}, version {registry.register(config.contract, folder, tags)}")
        if refused := [verdict for verdict in verdicts if not verdict.passed]:
            raise RefusedError(refusal(refused, folder))
        news = old is None or old.digest != folder.name
        if news:
            why = f"training {run_id} passed all {len(verdicts)} gates"
            promotion.promote(config, folder.name, instead_of=old.digest if old else None, why=why)
    return Outcome(standings, judged.figures, folder, news)


def compare(config: Config, rows: Rows, folds: list[Fold], out: Console) -> tuple[list[Standing], list[Standing]]:
    """Every trial on a sample of the days, and then the best of each kind on all rows."""
    data, target, named = rows.examples.data, rows.examples.target, config.candidates.named()
    with console.step(out, f"Try whether each of {len(named)} candidates can be exported") as say:
        search.refuse_unfit(data, target, folds, config)
        say(", ".join(named))
    with console.step(out, f"Search on {config.search.sample:.0%} of the {UNITS[config.split.by]}") as say:
        trials = search.trials(config, data, target, folds, blocks(rows.key), say)
        lost = sum(trial.error is not None for trial in trials)
        say(f"{len(trials)} trials" + (f", {lost} lost" if lost else ""))
    with console.step(out, f"Judge the best of each kind on all rows of {len(folds)} folds") as say:
        found = search.best_of_each(trials, config.loss)
        standings = search.standings(config, data, target, folds, found, say)
        say(f"{min(standings, key=lambda s: s.mean(config.loss)).name} has the lowest {config.loss}")
    return trials, standings


def read(config: Config, reports: Path) -> Rows:
    """Valid rows, and what happened to the others: in `data_report.json` and `rejected.csv`, even if too many."""
    dataset = datasets.find(config.dataset)
    path = None if config.data.path is None else Path(config.data.path)
    raw = dataset.load(path, config.columns)
    cleaned = clean.clean(raw.frame, config.contract)
    counts = {"loaded": len(raw.frame), "rejected": len(cleaned.rejected), "valid": len(cleaned.frame)}
    told = {"counts": raw.counts, "rules": clean.counts(cleaned, config.contract)}
    about = {"data": {"files": raw.hashes, "licence": config.data.licence, **told}, "rows": counts}
    (reports / "config.json").write_bytes(bundle.as_json(config.model_dump(mode="json", exclude={"paths"})))
    (reports / "data_report.json").write_bytes(bundle.as_json(about))
    cleaned.rejected.to_csv(reports / "rejected.csv", index_label="row")
    clean.enforce(cleaned, config.data.max_rejected, f"{config.paths.reports}/{config.name}.failed/rejected.csv")
    columns = clean.frame_to_columns(cleaned.frame, config.contract)
    key = keys(columns, config)
    known = np.flatnonzero(key < np.datetime64(config.data.until)) if config.data.until else np.arange(len(key))
    kept = known[sample(blocks(key[known]), config.data.sample, config.train.seed)]
    recalled = recall(config, columns, key, known, kept) if config.contract.remembered else None
    past = memory.history(take(columns, kept), recalled.tallies, config.contract, recalled.prior) if recalled else {}
    request = {name: past[name] if name in past else columns[name][kept] for name in config.request}
    derived = dataset.derive(request)
    if missing := [name for name in config.features if name not in derived]:
        raise ConfigError(f"features: {missing[0]} is not made by `derive` of the dataset {config.dataset}")
    outcome = columns[config.target][kept]
    target = outcome == 1 if config.task == "classification" else outcome
    examples = Examples(request, tensors(derived, config.contract), target)
    return Rows(examples, key[kept], row_keys(columns, config)[kept], about, raw.names, recalled)


def recall(config: Config, columns: Columns, key: NDArray[Any], known: NDArray[Any], kept: NDArray[Any]) -> Recalled:
    """How all known rows ended, by day and key. The prior is from the rows that every fold trains on."""
    rule, outcome = config.memory, columns[config.target]
    told = columns[rule.known][known] if rule and rule.known else None
    tallies = memory.tally(take(columns, known), outcome[known], config.contract, told)
    prior = round(float(outcome[kept][split(key[kept], config.split).folds[0].train].mean()), memory.DIGITS)
    return Recalled(tallies, prior, memory.number(str(day_after(key[known]))))


def take(columns: Columns, rows: NDArray[Any]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def refit(config: Config, best: Standing, seen: Examples, kept: Examples, what: str, out: Console) -> Made:
    """The chosen candidate on the rows that are `seen`, exported, and compared with what was exported."""
    with console.step(out, f"Refit {best.name} on {what}") as say:
        fitted = model.fit(best.settings, seen.data, seen.target, config.train, threads=config.train.workers)
        say(f"{len(seen.target):,} rows")
    with console.step(out, "Export to ONNX and compare with scikit-learn, row by row") as say:
        onnx = export.to_onnx(fitted, seen.data, config.name)
        session, unit = Session(onnx), evaluate.spread(seen.target, config.threshold)
        off = export.off(fitted, session, kept.data, unit, config.train.seed)
        say(f"{len(kept.target):,} holdout rows and damaged copies, none off by more than {off:.1e}")
    return Made(onnx, session, off)


def ask(config: Config, evidence: gates.Evidence, out: Console) -> list[gates.Verdict]:
    with console.step(out, "Ask every gate") as say:
        verdicts = gates.verdicts(config, evidence)
        refused = sum(not verdict.passed for verdict in verdicts)
        say(f"{refused} of {len(verdicts)} refuse" if refused else f"all {len(verdicts)} pass")
    out.print(console.gates(verdicts), soft_wrap=True)
    return verdicts


def judge(config: Config, kept: Examples, said: NDArray[np.float64], unit: NDArray[np.int64]) -> Judged:
    """The one look at the holdout: figures with intervals from the answers of the exported model."""
    search.refuse_uniform(kept.target, config.target, "the holdout")
    plan, rule = Bootstrap(config.threshold, config.train.resamples, config.train.seed), config.gates.slices
    figures = evaluate.with_intervals(kept.target, said, unit, plan)
    slices = evaluate.slices(
        kept.request, rule.columns, rule.rows, kept.target, said, unit, plan._replace(resamples=100)
    )
    return Judged(said, unit, figures, slices)


def typical(target: NDArray[Any]) -> str:
    return f"{target.mean():.1%} positive" if target.dtype == np.bool_ else f"{np.median(target):.4g} in the middle"


def refusal(refused: list[gates.Verdict], folder: Path) -> str:
    reasons = "; ".join(f"{v.gate}: {v.value}, allowed {v.limit} ({v.why})" for v in refused)
    return f"this model may not go out. {reasons}. It stays in {folder} as the challenger; the champion is as it was"

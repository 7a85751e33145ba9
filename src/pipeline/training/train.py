"""The whole story in one function: raw rows to a champion. Read this first."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import console
from pipeline.config.config import Config
from pipeline.data.keys import first_day
from pipeline.data.read import Rows, read
from pipeline.data.split import Fold, Split, split
from pipeline.errors import RefusedError
from pipeline.evaluation.bootstrap import Bootstrap, Interval, blocks, with_intervals
from pipeline.evaluation.metrics import spread
from pipeline.evaluation.slices import Slice, slices
from pipeline.monitoring import reference
from pipeline.registry import mlflow_store, promotion
from pipeline.registry.run_folder import make_folders, working_folder
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Examples, as_json
from pipeline.runtime.dataset import find
from pipeline.runtime.predictor import Session
from pipeline.training import bundle, champion_predictions, estimators, gates, report, run_record, search, tables
from pipeline.training.export import onnx
from pipeline.training.search import Standing

UNITS = {"time": "days", "group": "groups", "row": "rows"}


class Outcome(NamedTuple):
    """What a training leaves; `news` where it is a new champion.

    Without an opened holdout there is no bundle: nothing says how good it would be.
    """

    standings: list[Standing]
    holdout: dict[str, Interval]
    bundle: Path | None
    news: bool = False


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
    moved = mlflow_store.connect(config.name, config.paths.tracking)
    for mended in [*moved, *promotion.reconcile(config)]:
        out.print(f"Mended: {mended}", soft_wrap=True, highlight=False)
    with working_folder(home, config.name) as reports, mlflow_store.run(reports.parent.name) as run_id:
        with console.step(out, "Read and clean the data") as say:
            rows = read(config, reports)
            say(f"{len(rows.key):,} rows, {typical(rows.examples.target)}; {rows.about['rows']['rejected']:,} rejected")
        parts = split(rows.key, config.split)
        seen, kept = rows.examples.take(parts.search), rows.examples.take(parts.holdout)
        trials, standings = compare(config, rows, parts.folds, out)
        best = search.choose(standings, config.loss)
        baseline = search.baseline(rows.examples.target, parts.folds, config.scoring)
        out.print(tables.leaderboard(standings, best, baseline, config.loss, trials))
        made = refit(config, best, seen, kept, "everything before the holdout", out)
        learnt = rows.examples if everything else seen
        about = {
            **rows.about,
            **run_record.story(best, standings, parts, rows.key, len(learnt.target)),
            **bundle.facts(config),
        }
        tried = {"trial": trials, "all rows": standings}
        drawn = report.of_search(config, trials, standings, best)
        if config.split.test == "none":
            report.draw(reports, config.task, drawn)
            with console.step(out, "Record"):
                run_record.into_run(config, best, tried, {}, about, reports)
            return Outcome(standings, {}, None)
        with console.step(out, f"Open the holdout, {parts.holdout_name}, once"):
            judged = judge(config, kept, made.session(kept.data), blocks(rows.key[parts.holdout]))
            report.draw(reports, config.task, drawn | report.of_holdout(config, kept, judged.said, made.session))
        out.print(tables.holdout(judged.figures))
        about["slices"] = run_record.of_slices(judged.slices)
        final = refit(config, best, learnt, kept, "everything", out) if everything else made
        about["export_off"] = off = max(made.off, final.off)
        files = bundle.package(config, final.onnx, learnt, judged.figures, rows.recalled)
        files |= bundle.to_show(config, kept, reports)
        files["reference.json"] = compared_with(config, rows, parts, best, judged.said, learnt, final.session)
        row_key = rows.row_key[parts.holdout]
        digest = bundle_store.digest(files["bundle.json"])
        first = first_day(rows.key[parts.holdout])
        old = champion_predictions.rival(models, config.contract, digest, kept.request, row_key, judged.said, first)
        size = sum(map(len, files.values()))
        verdicts = ask(config, gates.Evidence(seen, kept, *judged, old, off, final.session, size), out)
        with console.step(out, "Package, record and register") as say:
            about |= {"run_id": run_id, "gates": [verdict._asdict() for verdict in verdicts]}
            folder = bundle_store.write(models, {**files, "record.json": as_json(about)})
            champion_predictions.remember(models, folder.name, row_key, judged.said)
            run_record.into_run(config, best, tried, judged.figures, about, reports)
            mlflow_store.log_folder(folder, "bundle")
            tags = run_record.version_tags(best, judged.figures, verdicts, about)
            say(f"{folder}, version {mlflow_store.register(config.contract, folder, tags)}")
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
    found = search.best_of_each(trials, config.loss)
    if config.search.sample == 1:  # these rows have judged them already
        return trials, found
    with console.step(out, f"Judge the best of each kind on all rows of {len(folds)} folds") as say:
        standings = search.standings(config, data, target, folds, [(each.name, each.settings) for each in found], say)
        say(f"{min(standings, key=lambda s: s.mean(config.loss)).name} has the lowest {config.loss}")
    return trials, standings


def refit(config: Config, best: Standing, seen: Examples, kept: Examples, what: str, out: Console) -> Made:
    """The chosen candidate on the rows that are `seen`, exported, and compared with what was exported."""
    with console.step(out, f"Refit {best.name} on {what}") as say:
        fitted = estimators.fit(best.settings, seen.data, seen.target, config.train, threads=search.workers(config))
        say(f"{len(seen.target):,} rows")
    with console.step(out, "Export to ONNX and compare with scikit-learn, row by row") as say:
        graph = onnx.to_onnx(fitted, seen.data, config.name)
        session, unit = Session(graph), spread(seen.target, config.task)
        off = onnx.off(fitted, session, kept.data, unit, config.train.seed)
        say(f"{len(kept.target):,} holdout rows and damaged copies, none off by more than {off:.1e}")
    return Made(graph, session, off)


def ask(config: Config, evidence: gates.Evidence, out: Console) -> list[gates.Verdict]:
    with console.step(out, "Ask every gate") as say:
        verdicts = gates.verdicts(config, evidence)
        refused = sum(not verdict.passed for verdict in verdicts)
        say(f"{refused} of {len(verdicts)} refuse" if refused else f"all {len(verdicts)} pass")
    out.print(tables.gates(verdicts), soft_wrap=True)
    return verdicts


def judge(config: Config, kept: Examples, said: NDArray[np.float64], unit: NDArray[np.int64]) -> Judged:
    """The one look at the holdout: figures with intervals from the answers of the exported model."""
    search.refuse_uniform(kept.target, config.target, "the holdout")
    plan, rule = Bootstrap(config.scoring, config.train.resamples, config.train.seed), config.gates.slices
    figures = with_intervals(kept.target, said, unit, plan)
    parts = slices(kept.request, rule.columns, rule.rows, kept.target, said, unit, plan._replace(resamples=100))
    return Judged(said, unit, figures, parts)


def compared_with(
    config: Config,
    rows: Rows,
    parts: Split,
    best: Standing,
    said: NDArray[np.float64],
    learnt: Examples,
    session: Session,
) -> bytes:
    """What monitoring compares with: the rows learnt from, and the answers to folds and holdout."""
    at = np.concatenate([*(fold.valid for fold in parts.folds), parts.holdout])
    answer = np.concatenate([*(best.said[fold.name] for fold in parts.folds), said])
    derived = find(config.dataset).derive(learnt.request)
    key = rows.key if len(learnt.target) == len(rows.key) else rows.key[parts.search]
    own = reference.Learnt(derived, key, learnt.target, session(learnt.data))
    unseen = reference.Unseen(rows.key[at], rows.examples.target[at], answer)
    return reference.reference(config, own, unseen, rows.names)


def typical(target: NDArray[Any]) -> str:
    return f"{target.mean():.1%} positive" if target.dtype == np.bool_ else f"{np.median(target):.4g} in the middle"


def refusal(refused: list[gates.Verdict], folder: Path) -> str:
    reasons = "; ".join(f"{v.gate}: {v.value}, allowed {v.limit} ({v.why})" for v in refused)
    return f"this model may not go out. {reasons}. It stays in {folder} as the challenger; the champion is as it was"

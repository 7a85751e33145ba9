"""The second phase of a training: compare the candidates on the folds, and choose one.

The holdout is still closed. Every computation is in another module.
"""

from rich.console import Console

from pipeline import console
from pipeline.config.config import Config
from pipeline.data import masking
from pipeline.data.masking import Copies
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.training import parallel, search, tables
from pipeline.training.fold_results import CandidateResult, evaluate_candidates
from pipeline.training.phases import Prepared, Selection
from pipeline.training.unfit import refuse_unfit

UNITS = {"time": "days", "group": "groups", "row": "rows"}


def select(config: Config, prepared: Prepared, out: Console) -> Selection:
    """Compare the candidates on the folds, and choose one."""
    rows = prepared.rows
    folds = prepared.parts.folds
    trials, results, worse = compare(config, rows, prepared.copies, out, folds)

    best = search.choose(results, config.loss)
    baseline = search.baseline(rows.examples.target, folds, config.scoring)
    out.print(tables.leaderboard(results, best, baseline, config.loss))
    for note in [*tables.worse_on_sample(worse), *tables.lost_trials(trials)]:
        out.print(note, style="yellow", soft_wrap=True, highlight=False)
    return Selection(best, trials, results, worse)


def compare(
    config: Config, rows: TrainingRows, copies: Copies, out: Console, folds: list[Fold]
) -> tuple[list[CandidateResult], list[CandidateResult], list[CandidateResult]]:
    """Evaluate every trial on a sample of the days, and then the best trial of each kind on all rows.

    The candidates are trained on the masked copies too, and validated on the rows as they are. Returns the trials, the
    results on all rows, and the best trials of the kinds that were clearly worse on the sample.
    """
    _, data, target = masking.with_copies(rows.examples, copies)
    data = parallel.shareable(data)
    folds = masking.folds_with_copies(folds, copies, len(rows.key))
    sampled = search.sample_folds(config, folds, masking.blocks_with_copies(rows.key, copies))
    kinds = config.candidates.named()

    with console.step(out, f"Check that each of {len(kinds)} candidates can be exported") as say:
        refuse_unfit(data, target, folds, config)
        say(", ".join(kinds))

    with console.step(out, f"Search on {config.search.sample:.0%} of the {UNITS[config.split.by]}") as say:
        trials = search.run_trials(config, data, target, sampled, say)
        say(search_summary(trials))

    best = search.best_of_each(trials, config.loss)
    if config.search.sample == 1:  # the trials were evaluated on all rows already
        return trials, best, []

    best, worse = search.contenders(config, target, sampled, best)
    left_out = f", without {', '.join(trial.name for trial in worse)}" if worse else ""
    with console.step(out, f"Train the best of each kind{left_out} on all rows of {len(folds)} folds") as say:
        candidates = [(trial.name, trial.settings) for trial in best]
        results = evaluate_candidates(config, data, target, folds, candidates, say)
        lowest = min(results, key=lambda result: result.mean(config.loss))
        say(f"{lowest.name} has the lowest {config.loss}")
    return trials, results, worse


def search_summary(trials: list[CandidateResult]) -> str:
    """Count the trials, those that failed, and those that were stopped early."""
    counts = {
        "failed": sum(trial.error is not None for trial in trials),
        "stopped early": sum(trial.stopped for trial in trials),
    }
    return f"{len(trials)} trials" + "".join(f", {count} {how}" for how, count in counts.items() if count)

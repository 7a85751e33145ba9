from io import StringIO

from rich.console import Console

from pipeline.candidates.linear import Linear
from pipeline.candidates.tree import Tree
from pipeline.console import next_steps, step
from pipeline.evaluation.bootstrap import Interval
from pipeline.training.fold_results import CandidateResult
from pipeline.training.tables import holdout_table, leaderboard, lost_trials, worse_on_sample


def printed(*, terminal: bool) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    with step(console, "Count") as say:
        say("one")
        say("two")
    with step(console, "Rest"):
        pass
    return out.getvalue()


def test_without_a_terminal_a_step_is_one_line_with_its_last_message() -> None:
    """The line is plain."""
    first, second = printed(terminal=False).splitlines()
    assert first.endswith("s  Count: two")
    assert second.endswith("s  Rest")


def test_on_a_terminal_the_step_is_seen_while_it_works() -> None:
    assert "\x1b[" in printed(terminal=True)


def test_the_tables_show_candidates_best_first_the_base_rate_and_intervals() -> None:
    figures = {"roc_auc": 0.7, "average_precision": 0.4, "log_loss": 0.5, "ece": 0.01}
    linear = CandidateResult("linear", Linear(), {"a": figures})
    lost = CandidateResult("tree", Tree(), {}, "MemoryError: too large")
    out = StringIO()
    console = Console(file=out, width=100)
    console.print(leaderboard([linear, lost], linear, {**figures, "roc_auc": 0.5}, "log_loss"))
    console.print(holdout_table({"roc_auc": Interval(0.71, 0.69, 0.73)}))
    next_steps(console, {"make serve": "answer"})
    lines = out.getvalue().splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["linear", "*"],
        ["tree", "failed:"],
        ["constant", "prediction"],
    ]
    assert "0.6900 to 0.7300" in lines[5]
    assert "make serve" in lines[6]


def test_what_is_not_in_the_leaderboard_is_named_with_its_reason() -> None:
    lost = CandidateResult("tree", Tree(), {}, "MemoryError: too large")
    whole = CandidateResult("linear", Linear(), {})
    assert worse_on_sample([whole, lost]) == [
        "not trained on all rows, worse beyond three standard errors on the sample: linear, tree"
    ]
    assert lost_trials([whole, lost]) == ["tree: 1 of 1 trials failed, the first with MemoryError: too large"]
    assert worse_on_sample([]) == lost_trials([whole]) == []

"""The gates that compare a model with the champion, in both directions."""

from collections.abc import Iterator

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Interval, paired
from pipeline.evaluation.metrics import loss_unit
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.evidence import Evidence, GateResult, bootstrap, format_difference


def against_champion(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Compare the loss with the champion's on the same rows, in both directions.

    The model passes without a champion and with a declared restart. It fails if there are no predictions of the
    champion. Otherwise both gates use the interval of the difference, from a paired bootstrap over blocks.
    """
    gate = f"{config.loss} against the champion"
    champion = evidence.champion

    if champion is None:
        yield GateResult(gate, "the first model", "nothing to beat", True, "there is no champion yet")
        return
    if evidence.restart:
        why = f"{evidence.restart}; only the baseline is compared"
        yield GateResult(gate, f"{champion.digest} is not compared", "a declared restart", True, why)
        return

    rule = config.gates.champion
    limit = f"≤ +{rule.max_increase:g}, interval not above 0"
    if not len(champion.rows):
        yield GateResult(gate, "not measured", limit, False, champion.source)
        return

    rows = champion.rows
    differences = paired(
        evidence.holdout.target[rows],
        evidence.predictions[rows],
        champion.predictions,
        evidence.blocks[rows],
        bootstrap(config),
        rule.interval,
    )
    loss = differences.pop(config.loss)
    passed = loss.value <= rule.max_increase and not loss.low > 0

    others = "".join(f"; {name} {format_difference(figure)}" for name, figure in differences.items())
    why = f"{champion.digest} was {champion.source}, on {len(rows):,} rows{others}"
    yield GateResult(gate, format_difference(loss), limit, passed, why)
    yield gain_is_plausible(config, evidence, champion, loss)


def gain_is_suspicious(config: Config, evidence: Evidence) -> bool:
    """Whether the model is so much better than the champion that somebody should look for the reason."""
    return any(result.warning for result in against_champion(config, evidence))


def gain_is_plausible(config: Config, evidence: Evidence, champion: ChampionPredictions, loss: Interval) -> GateResult:
    """Check that the model is not better than the champion by so much that a leak is the likely reason.

    `loss` is the difference of the losses, model minus champion. A gain warns if its whole interval is above the first
    limit. It fails if its whole interval is above the second, and the model is also better than the champion was on its
    own holdout: a champion that has decayed is beaten by far without any leak.
    """
    rule = config.gates.champion
    unit = loss_unit(evidence.train.target, config.task)
    sure_gain = -loss.high / unit

    gate = f"{config.loss} below the champion's"
    value = f"{-loss.value:+.4f} ({-loss.high:+.4f} to {-loss.low:+.4f})"
    limit = f"interval not above {rule.max_gain * unit:g}, unless the champion has decayed"
    why = "so large a gain is often a leak: check that new columns are known at prediction time"
    if evidence.gains:
        most = max(evidence.gains, key=lambda feature: feature.gain)
        why += f". On the folds, {most.name} lowers it most, by {most.gain:.4f}"
    passed = sure_gain <= rule.max_gain or not exceeds_own_holdout(config, evidence, champion)
    return GateResult(gate, value, limit, passed, why, warning=sure_gain > rule.warn_gain)


def exceeds_own_holdout(config: Config, evidence: Evidence, champion: ChampionPredictions) -> bool:
    """Whether the model's skill (regression: R²) is above the interval of the champion's on the champion's holdout."""
    metric = "r2" if config.task == "regression" else "skill"
    high = champion.metrics.get(metric, {}).get("high")
    return high is not None and evidence.figures[metric].value > high

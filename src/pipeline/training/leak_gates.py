"""The gates against target leaks: features, rows or a split by which a model knows what it should predict."""

from collections.abc import Iterator

from pipeline.config.config import Config
from pipeline.evaluation.metrics import loss_unit
from pipeline.training import leaks
from pipeline.training.evidence import Evidence, GateResult
from pipeline.training.leave_one_out import FeatureGain

MOST = 0.5  # share of a first model's gain; one feature with a larger share is a warning
ADDED = 0.02  # what a pair adds to the score of its better feature; a pair that adds less is that feature once more
SURPRISING = 0.1  # a pair that adds more than this is a warning


def leak_gates(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check features, then rows, then what single features are worth."""
    yield known_features(config)
    yield from suspicious_features(config, evidence)
    yield from one_outcome(config, evidence)
    yield copied_rows(config, evidence)
    yield from time_is_split(config, evidence)
    yield from gain_of_features(config, evidence)


def known_features(config: Config) -> GateResult:
    """Check that every feature is declared as known before the prediction."""
    after = [name for name in config.features if config.columns[name].known == "after"]
    why = "what is known only after the prediction cannot be one of its inputs"
    return GateResult("features known only after the prediction", ", ".join(after) or "none", "none", not after, why)


def suspicious_features(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Check how well one feature, and a sum or difference of two numbers, predicts the outcome by itself."""
    train = evidence.train
    seed = config.train.seed
    limit = config.gates.max_single_feature
    measure = "rank correlation" if config.task == "regression" else "roc_auc"

    scores = leaks.single_feature_scores(config.contract, train.data, train.target, seed)
    name = max(scores, key=lambda feature: scores[feature])
    value = f"{name} {scores[name]:.3f}"
    why = "a feature above the limit predicts the outcome suspiciously well: is it known at prediction time?"
    yield GateResult(f"{measure} of a single feature", value, f"≤ {limit:g}", scores[name] <= limit, why)

    pair = leaks.best_pair(config.contract, train.data, train.target, seed)
    if pair is None:
        return
    limit = config.gates.max_pair
    first, second = pair.names
    value = f"{first} and {second} {pair.score:.3f}, alone {scores[first]:.3f} and {scores[second]:.3f}"
    added = pair.score - max(scores[first], scores[second])
    passed = pair.score <= limit or added <= ADDED
    why = "together they say far more about the outcome than alone, as if they added up to it: are both known by then?"
    gate = f"{measure} of a sum or difference of two features"
    yield GateResult(gate, value, f"≤ {limit:g}", passed, why, warning=added > SURPRISING)


def one_outcome(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Warn of features that are missing, or present, only in rows with one and the same outcome."""
    if config.task == "regression":
        return
    train = evidence.train
    names = leaks.present_for_one_outcome(config.contract, train.data, train.target)
    why = "such a column is often filled in, or left empty, because of the outcome: is it known at prediction time?"
    gate = "features missing or present for one outcome only"
    yield GateResult(gate, ", ".join(names) or "none", "none", True, why, warning=bool(names))


def copied_rows(config: Config, evidence: Evidence) -> GateResult:
    """Check that rows of the holdout are not training rows too."""
    copies = leaks.copied_rows(config.contract, evidence.train, evidence.holdout)
    limit = config.gates.max_copied
    value = f"{copies.rows:,} ({copies.share:.2%})"
    why = "they equal a training row in all but time, outcome included: the model knows these answers"
    passed = copies.share <= limit
    return GateResult("rows of the holdout in training too", value, f"≤ {limit:.2%}", passed, why, copies.rows > 0)


def time_is_split(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Warn of a split that is not by time, if rows of the same day have similar outcomes."""
    if config.split.by == "time":
        return
    train = evidence.train
    alike = leaks.columns_of_similar_days(config.contract, train, config.train.seed)
    why = "a holdout from the same days is easier than the days to come: split by time"
    value = f"by {config.split.by}; similar outcomes on the same day of {', '.join(alike)}" if alike else "no such days"
    yield GateResult("days on both sides of the split", value, "no such days", True, why, warning=bool(alike))


def gain_of_features(config: Config, evidence: Evidence) -> Iterator[GateResult]:
    """Warn of a feature that makes the model better by more than an honest feature usually does.

    A feature that the champion does not have warns if it lowers the loss by more than `gates.champion.warn_gain`, by
    one standard error at least. For a first model, it warns if most of the model's gain comes from one feature.
    """
    if not evidence.gains:
        return
    limit = config.gates.champion.warn_gain * loss_unit(evidence.train.target, config.task)
    first_model = evidence.champion is None

    def is_suspicious(feature: FeatureGain) -> bool:
        if first_model:
            return feature.share > MOST
        return feature.is_new and feature.gain - feature.error > limit

    gains = sorted(evidence.gains, key=lambda feature: -feature.gain)
    suspicious = [feature.name for feature in gains if is_suspicious(feature)]
    value = ", ".join(format_gain(feature) for feature in gains)
    allowed = f"none above {MOST:.0%} of the gain" if first_model else f"a new feature's interval not above {limit:g}"
    names = ", ".join(suspicious) or "a feature above the limit"
    why = f"{names}: is it known at prediction time, with this very value?"
    gate = f"{config.loss} on the folds by one feature"
    yield GateResult(gate, value, allowed, True, why, warning=bool(suspicious))


def format_gain(feature: FeatureGain) -> str:
    new = "new " if feature.is_new else ""
    return f"{new}{feature.name} {-feature.gain:+.4f} (± {feature.error:.4f}, {feature.share:.0%} of the gain)"

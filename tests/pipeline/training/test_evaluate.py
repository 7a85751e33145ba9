"""When single features are left out: for a first model, for new features, and where a gain asks for its source."""

import json

from tests.support.toy import WEAK, Toy

GATE = "log_loss on the folds by one feature"
TWO = "features=[colour, size]"


def features_left_out(toy: Toy, *overrides: str) -> str | None:
    """Train, and return the value of the gate of single features; None if no feature was left out."""
    outcome = toy.train(*overrides)
    assert outcome.bundle is not None
    gates = json.loads((outcome.bundle / "record.json").read_bytes())["gates"]
    values = [gate["value"] for gate in gates if gate["gate"] == GATE]
    return values[0] if values else None


def test_features_are_left_out_of_a_first_model_and_for_new_ones(toy: Toy) -> None:
    """A second model with the champion's features and about its loss has no gain that anybody has to explain."""
    first = features_left_out(toy, TWO, WEAK)
    assert first is not None
    assert "size" in first
    assert "new" not in first

    assert features_left_out(toy, TWO, "candidates.linear.C=0.00011") is None

    with_legs = features_left_out(toy)
    assert with_legs is not None
    assert "new legs" in with_legs


def test_features_are_left_out_where_a_gain_is_suspicious(toy: Toy) -> None:
    """The champion is a much weaker model with the same features."""
    features_left_out(toy, WEAK)
    suspicious = features_left_out(toy, "gates.champion.warn_gain=0.0001")
    assert suspicious is not None
    assert "new" not in suspicious

from pipeline.candidates.linear import Linear
from pipeline.config.config import Config
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training.estimators import fit
from pipeline.training.export import onnx
from pipeline.training.importance import permutation_importance
from tests.support.examples import examples


def test_what_the_model_rests_on_matters_and_what_says_nothing_does_not(tiny_config: Config) -> None:
    """The columns are those of `examples`."""
    config = tiny_config.model_copy(update={"features": ["colour", "size", "legs"]})
    data, target = examples(3000)
    session = Session(onnx.to_onnx(fit(Linear(), data, target, config.train), data, "test"))
    risen = permutation_importance(config, Examples({}, data, target), session)
    assert list(risen) == ["colour", "size", "legs"]
    assert min(risen["colour"], risen["size"]) > 0.01
    assert abs(risen["legs"]) < 0.003

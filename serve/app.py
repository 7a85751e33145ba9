"""`create_app(settings)`: a proven bundle behind the front door, and the watch for the next one."""

from functools import partial
from pathlib import Path

from pipeline import predict, signature, store
from pipeline.predict import Predictor
from serve.docs import pages
from serve.front import Front
from serve.log import Log
from serve.metrics import Metrics
from serve.reload import watch
from serve.routes import State, table
from serve.served import Served
from serve.settings import Settings

TENTHS = [n / 20 for n in range(1, 21)]  # the bounds of the histogram of probabilities


def create_app(settings: Settings) -> Front:
    """Raises BundleError where there is no bundle, or one that does not prove itself or is not signed as asked."""
    predictor = load(settings, settings.model_dir)
    log, metrics = Log(), Metrics(bounds(predictor))
    front = Front(settings, metrics, log)

    def take(new: Predictor) -> None:
        served = Served(new, metrics, settings.max_rows)
        routes = table(served, settings, State(metrics, lambda: front.draining))
        front.serve(served, routes, pages(served, routes, settings))

    take(predictor)
    followed = (settings.model_dir / store.POINTER).exists()
    if followed and settings.reload_seconds:
        look = partial(watch, settings.model_dir, settings.reload_seconds, predictor.version)
        front.watch = partial(look, partial(load, settings), take, metrics, log)
    return front


def load(settings: Settings, place: Path) -> Predictor:
    folder = store.resolve(place)  # once: what is verified is what is loaded
    if settings.model_public_key:
        signature.verify(folder, settings.model_public_key)
    return predict.load(folder)


def bounds(predictor: Predictor) -> list[float]:
    """Of the histogram of answers: twentieths of a probability, or some of what the golden rows were answered."""
    if predictor.threshold is not None:
        return TENTHS
    return sorted({float(f"{quantile:.3g}") for quantile in predictor.golden.answers})[::4]

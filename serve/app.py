"""`create_app(settings)`: a proven bundle in service, and the watch for the next one."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.runtime import bundle_store, rolling_features, signature
from pipeline.runtime.predictor import Predictor
from pipeline.runtime.predictor import load as load_predictor
from serve.asgi import ServingApp
from serve.model import LoadedModel
from serve.reload import reload_rolling_features, watch_champion, watch_file
from serve.routes import State, build_application
from serve.settings import Settings
from serve.telemetry.event_log import EventLog
from serve.telemetry.log_writer import LogWriter
from serve.telemetry.metrics import Metrics

MONITORED = "monitor.json"  # what `pipeline monitor` leaves, which imports more than a server has
TENTHS = [n / 20 for n in range(1, 21)]  # the bounds of the histogram of probabilities


def create_app(settings: Settings) -> ServingApp:
    """Raises BundleError where there is no bundle, or one that does not prove itself or is not signed as asked."""
    predictor = load_model(settings, settings.model_dir)
    log, metrics = EventLog(), Metrics(histogram_bounds(predictor))
    refreshed = settings.rolling_state_file or settings.model_dir / rolling_features.FILE
    monitored = settings.monitor_file or settings.model_dir / MONITORED
    front = ServingApp(settings, metrics, log)

    writer = LogWriter(settings.log_url, settings.log_queue, metrics, log) if settings.log_url else None
    front.at_end = writer.stop if writer else None

    def take(new: Predictor) -> None:
        reload_rolling_features(new, refreshed, metrics, log)
        served = LoadedModel(new, metrics, settings.max_rows, writer, settings.root_path)
        routes, table = build_application(served, settings, State(metrics, lambda: front.draining, writer, monitored))
        refuse_own_paths(settings.root_path, table)
        front.serve(served, table, routes)

    take(predictor)

    def again() -> None:
        reload_rolling_features(front.now.model.predictor, refreshed, metrics, log)

    followed = (settings.model_dir / bundle_store.POINTER).exists()
    if followed and settings.reload_seconds:
        look = partial(watch_champion, settings.model_dir, settings.reload_seconds, predictor.version)
        front.watches.append(partial(look, partial(load_model, settings), take, metrics, log))
    if settings.reload_seconds:
        front.watches.append(partial(watch_file, refreshed, settings.reload_seconds, again))
    return front


def load_model(settings: Settings, place: Path) -> Predictor:
    folder = bundle_store.resolve(place)  # once: what is verified is what is loaded
    if settings.model_public_key:
        signature.verify(folder, settings.model_public_key)
    return load_predictor(folder)


def refuse_own_paths(root: str, paths: Iterable[str]) -> None:
    """Raise ConfigError for a prefix that is a path of the server itself: what is asked there could mean either."""
    if root and any(path == root or path.startswith(f"{root}/") for path in paths):
        raise ConfigError(f"ROOT_PATH={root}: is a path of this server itself; give the proxy another one")


def histogram_bounds(predictor: Predictor) -> list[float]:
    """Of the histogram of answers: twentieths of a probability, or some of what the golden rows were answered."""
    if predictor.contract.task == "binary":
        return TENTHS
    return sorted({float(f"{quantile:.3g}") for quantile in predictor.golden.answers})[::4]

"""`create_app(settings)`: load the champion, serve it, and watch for the next one. It knows nothing about requests."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.runtime import bundle_store, rolling_features
from pipeline.runtime.predictor import Predictor
from pipeline.runtime.predictor import load as load_predictor
from serve.asgi import ServingApp
from serve.model import LoadedModel
from serve.reload import RollingFile, watch_champion, watch_file
from serve.routes import State, build_application, forget_endpoints
from serve.settings import Settings
from serve.telemetry.event_log import EventLog
from serve.telemetry.log_writer import LogWriter
from serve.telemetry.metrics import Metrics
from serve.telemetry.monitor_file import MonitorFile

MONITORED = "monitor.json"  # the file of `pipeline monitor`, whose module imports more than the server has installed
TWENTIETHS = [n / 20 for n in range(1, 21)]  # the bounds of the histogram of probabilities


def create_app(settings: Settings) -> ServingApp:
    """The ASGI application with a verified model.

    Raises BundleError where there is no bundle, where its verification fails, or where the settings ask for a
    signature that it does not have. Raises ConfigError for a root path that is also a path of the server.
    """
    load = partial(load_predictor, key=settings.model_public_key)
    predictor = load(settings.model_dir)
    log = EventLog()
    metrics = Metrics(histogram_bounds(predictor))
    rolling_path = settings.state_file(settings.rolling_state_file, rolling_features.FILE)
    monitor_path = settings.state_file(settings.monitor_file, MONITORED)
    rolling_file = RollingFile(rolling_path, metrics, log)
    monitor_file = MonitorFile(monitor_path, log) if monitor_path else None
    report_ignored_state(settings, rolling_path, monitor_path, log)

    app = ServingApp(settings, metrics, log)
    writer = LogWriter(settings.log_url, settings.log_queue, metrics, log) if settings.log_url else None
    app.at_end = writer.stop if writer else None

    def activate(new: Predictor) -> None:
        rolling_file.load_into(new)
        model = LoadedModel(new, metrics, settings.max_rows, writer, settings.root_path, settings.max_body_bytes)
        routes, table = build_application(model, settings, State(metrics, lambda: app.draining, writer, monitor_file))
        refuse_own_paths(settings.root_path, table)
        app.serve(model, table, routes)
        forget_endpoints()  # of the model before

    def refresh_rolling_features() -> bool:
        return rolling_file.load_into(app.now.model.predictor)

    activate(predictor)

    is_store = (settings.model_dir / bundle_store.POINTER).exists()
    if is_store and settings.reload_seconds:
        watch = partial(watch_champion, settings.model_dir, settings.reload_seconds, predictor.version)
        app.watches.append(partial(watch, load, activate, metrics, log))
    if settings.reload_seconds and rolling_path:
        app.watches.append(partial(watch_file, rolling_path, settings.reload_seconds, refresh_rolling_features))
    return app


def report_ignored_state(settings: Settings, rolling: Path | None, monitor: Path | None, log: EventLog) -> None:
    """Log once which state beside the champion is not read, because nothing has signed it."""
    names = {rolling_features.FILE: rolling, MONITORED: monitor}
    ignored = [name for name, path in names.items() if path is None]
    if ignored:
        reason = "MODEL_PUBLIC_KEY is set and state is not signed: STATE_DIR may name a folder that is trusted"
        log.write("state ignored", files=ignored, beside=str(settings.model_dir), reason=reason)


def refuse_own_paths(root: str, paths: Iterable[str]) -> None:
    """Raise ConfigError for a root path that is a path of the server itself: a request to it would be ambiguous."""
    if root and any(path == root or path.startswith(f"{root}/") for path in paths):
        raise ConfigError(f"ROOT_PATH={root}: is a path of this server itself; give the proxy another one")


def histogram_bounds(predictor: Predictor) -> list[float]:
    """The bounds of the histogram of predictions.

    They are twentieths for a probability, and every fourth distinct prediction for the golden rows for a regression.
    """
    if predictor.contract.task != "regression":
        return TWENTIETHS
    return sorted({float(f"{prediction:.3g}") for prediction in predictor.golden.predictions})[::4]

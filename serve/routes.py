"""Which path leads to which handler, for one model. Every handler is a plain function from a call to a reply."""

import json
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from serve import explanations, feedback, page, protocols, tensors
from serve.calls import Call, Reply, wants_html
from serve.errors import RequestError
from serve.metrics import CONTENT_TYPE_LATEST, Metrics
from serve.served import Served
from serve.settings import Settings
from serve.writer import Writer

VERSION = metadata.version("mlops-reference")


class State(NamedTuple):
    """What a handler may ask about the server."""

    metrics: Metrics
    draining: Callable[[], bool]
    writer: Writer | None = None
    monitored: Path | None = None


class Route(NamedTuple):
    """`name` is how it is counted, `title` how it is documented, if it is. An open one asks for no API key; a slow one
    leaves the event loop to others.
    """

    name: str
    handler: Callable[[Served, Call], Reply]
    title: str
    open: bool = False
    slow: bool = False


Table = dict[str, dict[str, Route]]


def table(served: Served, settings: Settings, state: State) -> Table:
    """By path and then by method."""
    name, version = served.name, served.version
    posts = {
        "/predict": Route("/predict", protocols.predict, served.contract.question),
        "/predict/batch": Route("/predict/batch", protocols.batch, "The same for many rows"),
        "/explain": Route("/explain", explanations.one, "What each field did to the answer", slow=True),
        "/invocations": Route("/invocations", protocols.invoke, "MLflow, SageMaker"),
        f"/v1/models/{name}:predict": Route("/v1/models/{name}:predict", protocols.invoke, "KServe V1, Vertex AI"),
        f"/v1/models/{name}:explain": Route(
            "/v1/models/{name}:explain", explanations.many, "KServe V1: what each field did to the answers", slow=True
        ),
        "/answer": Route("/answer", page.answer, "", slow=True),
        **dict.fromkeys(
            (f"/v2/models/{name}/infer", f"/v2/models/{name}/versions/{version}/infer"),
            Route("/v2/models/{name}/infer", tensors.infer, "Open Inference V2"),
        ),
    }
    if settings.predict_route and settings.predict_route not in posts:
        posts[settings.predict_route] = Route("predict_route", protocols.invoke, "Vertex AI, by AIP_PREDICT_ROUTE")
    if state.writer:
        posts["/feedback"] = Route("/feedback", feedback.take(state.writer), "What came of predictions", slow=True)
    ready = Route("ready", lambda served, _: readiness(served, state), "A proven model is loaded", open=True)
    live = Route("live", lambda *_: as_json({"live": True}), "The process answers", open=True)
    model_ready = [f"/v1/models/{name}", f"/v2/models/{name}/ready", f"/v2/models/{name}/versions/{version}/ready"]
    about = Route(
        "/v2/models/{name}", lambda served, _: as_json(tensors.metadata(served)), "What the model takes and gives"
    )
    server = {"name": "mlops-reference", "version": VERSION, "extensions": ["binary_tensor_data"]}
    gets = {
        **dict.fromkeys(("/livez", "/v2/health/live"), live),
        **dict.fromkeys(("/readyz", "/ping", "/health", "/v2/health/ready", *model_ready), ready),
        **({settings.health_route: ready} if settings.health_route else {}),
        "/": Route("/", root, "Alive; a browser gets the page", open=True),
        "/answer": Route("/answer", page.ask, "", slow=True),  # for who reloads an answer
        "/version": Route("/version", lambda *_: text(VERSION.encode()), "Of this server"),
        "/model": Route("/model", about_model, "What it is, how good, and where it comes from", slow=True),
        **{f"/model/{picture}": Route("/model/{picture}", page.picture(picture), "") for picture in served.pictures},
        **{f"/web/{name}": Route("/web", page.asset(name), "", open=True) for name in page.ASSETS},
        "/metrics": Route("/metrics", partial(exposition, state), "For Prometheus", slow=state.writer is not None),
        "/execution-parameters": Route(
            "/execution-parameters", lambda *_: as_json(transform(settings)), "For SageMaker's batch transform"
        ),
        "/v1/models": Route("/v1/models", lambda served, _: as_json({"models": [served.name]}), "Which there are"),
        **dict.fromkeys(("/v2", "/v2/"), Route("/v2", lambda *_: as_json(server), "What the server is")),
        **dict.fromkeys((f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"), about),
    }
    found: Table = {path: {"GET": route, "HEAD": route} for path, route in gets.items()}
    for path, route in posts.items():
        found.setdefault(path, {})["POST"] = route
    return found


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value, ensure_ascii=False).encode())


def text(value: bytes, kind: str = "text/plain; charset=utf-8") -> Reply:
    return Reply(200, value, kind.encode())


def exposition(state: State, served: Served, _: Call) -> Reply:
    """All metrics; how predictions turned out is read from the log, if labels have come since."""
    if state.monitored:
        state.metrics.judged(*feedback.verdict(state.monitored, served.version))
    if state.writer:
        state.metrics.outcomes(partial(feedback.figures, served.predictor, state.writer.url))
    return text(state.metrics.text(), CONTENT_TYPE_LATEST)


def readiness(served: Served, state: State) -> Reply:
    """One body that every platform's client understands."""
    if state.draining():
        raise RequestError(503, "The server is about to stop")
    about = {"name": served.name, "ready": True, "live": True, "status": "ok"}
    return as_json({**about, "model": served.name, "version": served.version})


def root(served: Served, call: Call) -> Reply:
    """Alive to a platform; to a browser the page."""
    if wants_html(call.headers):
        return page.ask(served, call)
    docs = f"{served.root_path}/docs"
    return as_json({"status": "alive", "model": served.name, "version": served.version, "docs": docs})


def about_model(served: Served, call: Call) -> Reply:
    """As JSON, or to a browser as a page."""
    manifest = served.predictor.manifest.model_dump(mode="json", exclude_defaults=True)
    facts = {"name": served.name, "version": served.version, **manifest, "record": served.predictor.record}
    return page.model(served, facts) if wants_html(call.headers) else as_json(facts)


def transform(settings: Settings) -> dict[str, Any]:
    """How SageMaker's batch transform should send its pieces."""
    megabytes = max(1, settings.max_body_bytes // 10**6)
    return {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": min(6, megabytes)}

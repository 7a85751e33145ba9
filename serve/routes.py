"""Which path leads to which handler, for one model. Every handler is a plain function from a call to a reply."""

import json
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

from serve import protocols, tensors
from serve.calls import Call, Reply
from serve.errors import RequestError
from serve.metrics import CONTENT_TYPE_LATEST, Metrics
from serve.served import Served
from serve.settings import Settings

VERSION = metadata.version("mlops-reference")


class State(NamedTuple):
    """What a handler may ask about the server."""

    metrics: Metrics
    draining: Callable[[], bool]


class Route(NamedTuple):
    name: str
    handler: Callable[[Served, Call], Reply]
    open: bool = False  # without an API key


Table = dict[str, dict[str, Route]]


def table(served: Served, settings: Settings, state: State) -> Table:
    """By path and then by method."""
    name, version = served.name, served.version
    posts = {
        "/predict": Route("/predict", protocols.predict),
        "/predict/batch": Route("/predict/batch", protocols.batch),
        "/invocations": Route("/invocations", protocols.invoke),
        f"/v1/models/{name}:predict": Route("/v1/models/{name}:predict", protocols.invoke),
        f"/v2/models/{name}/infer": Route("/v2/models/{name}/infer", tensors.infer),
        f"/v2/models/{name}/versions/{version}/infer": Route("/v2/models/{name}/infer", tensors.infer),
    }
    if settings.predict_route and settings.predict_route not in posts:
        posts[settings.predict_route] = Route("predict_route", protocols.invoke)
    ready = Route("ready", lambda served, _: readiness(served, state), open=True)
    live = Route("live", lambda *_: as_json({"live": True}), open=True)
    model_ready = [f"/v1/models/{name}", f"/v2/models/{name}/ready", f"/v2/models/{name}/versions/{version}/ready"]
    about = Route("/v2/models/{name}", lambda served, _: as_json(tensors.metadata(served)))
    server = {"name": "mlops-reference", "version": VERSION, "extensions": ["binary_tensor_data"]}
    gets = {
        **dict.fromkeys(("/livez", "/v2/health/live"), live),
        **dict.fromkeys(("/readyz", "/ping", "/health", "/v2/health/ready", *model_ready), ready),
        **({settings.health_route: ready} if settings.health_route else {}),
        "/": Route("/", root, open=True),
        "/version": Route("/version", lambda *_: Reply(200, VERSION.encode(), b"text/plain; charset=utf-8")),
        "/model": Route("/model", lambda served, _: as_json(facts(served))),
        "/metrics": Route("/metrics", lambda *_: Reply(200, state.metrics.text(), CONTENT_TYPE_LATEST.encode())),
        "/execution-parameters": Route("/execution-parameters", lambda *_: as_json(transform(settings))),
        "/v1/models": Route("/v1/models", lambda served, _: as_json({"models": [served.name]})),
        **dict.fromkeys(("/v2", "/v2/"), Route("/v2", lambda *_: as_json(server))),
        **dict.fromkeys((f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"), about),
    }
    found: Table = {path: {"GET": route, "HEAD": route} for path, route in gets.items()}
    for path, route in posts.items():
        found.setdefault(path, {})["POST"] = route
    return found


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value, ensure_ascii=False).encode())


def readiness(served: Served, state: State) -> Reply:
    """One body that every platform's client understands."""
    if state.draining():
        raise RequestError(503, "The server is about to stop")
    about = {"name": served.name, "ready": True, "live": True, "status": "ok"}
    return as_json({**about, "model": served.name, "version": served.version})


def root(served: Served, call: Call) -> Reply:
    """Alive to a platform; to a browser the way to the docs."""
    if b"text/html" in call.headers.get(b"accept", b""):
        return Reply(307, b"", b"text/plain", ((b"location", b"docs"),))
    return as_json({"status": "alive", "model": served.name, "version": served.version, "docs": "/docs"})


def facts(served: Served) -> dict[str, Any]:
    manifest = served.predictor.manifest.model_dump(mode="json", exclude_defaults=True)
    return {"name": served.name, "version": served.version, **manifest, "record": served.predictor.record}


def transform(settings: Settings) -> dict[str, Any]:
    """How SageMaker's batch transform should send its pieces."""
    megabytes = max(1, settings.max_body_bytes // 10**6)
    return {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": min(6, megabytes)}

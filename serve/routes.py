"""All routes of one model: a FastAPI application, and by path and method what the ASGI app before it has to know."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute

from serve import openapi
from serve.errors import RequestError, problem
from serve.messages import VERSION, Call, CallParameter, wants_html
from serve.model import LoadedModel
from serve.openapi import KEY_ASKED
from serve.page import views
from serve.protocols import explain, feedback, invocations, native, open_inference
from serve.settings import Settings
from serve.telemetry.log_writer import LogWriter
from serve.telemetry.metrics import CONTENT_TYPE_LATEST, Metrics

QUIET: Any = {"tracing": False, "metrics": False, "logs": False}  # FastAPI's own telemetry
OPEN = frozenset({"live", "ready", "/", "/web"})  # names of routes that ask for no API key

Handler = Callable[[LoadedModel, Call], Response]
# Called without FastAPI, which would take as long again: they carry the load. What it says of them is held by tests.
DIRECT: dict[str, Handler] = {
    "/predict": native.predict,
    "/predict/batch": native.batch,
    "/invocations": invocations.invoke,
}


class State(NamedTuple):
    """What routes may ask about the server."""

    metrics: Metrics
    draining: Callable[[], bool]
    writer: LogWriter | None = None
    monitored: Path | None = None


class Route(NamedTuple):
    """`name` is how it is counted; an open one asks for no API key; a handler is called without FastAPI."""

    name: str
    open: bool
    handler: Handler | None


Table = dict[str, dict[str, Route]]


def build_application(served: LoadedModel, settings: Settings, state: State) -> tuple[FastAPI, Table]:
    app = FastAPI(
        title=served.name,
        summary=served.contract.question,
        description=openapi.describe_limits(settings),
        version=served.version,
        openapi_url=None,
        telemetry=QUIET,
        redirect_slashes=False,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
    )

    async def refuse(request: Request, error: Exception) -> Response:
        return problem(error, request.state.call.id, request.scope["path"], settings.timeout_seconds)

    for kind in (RequestError, TimeoutError, Exception):
        app.add_exception_handler(kind, refuse)
    routers = [
        native.router(served),
        explain.router(served),
        open_inference.router(served),
        views.router(served),
        info_routes(served, state),
        openapi.router(app),
        *([feedback.router(served, state.writer)] if state.writer else []),
        # Last, since a platform may choose paths of these two: what is there already stays what it is.
        invocations.router(served, settings),
        health_routes(served, settings, state),
    ]
    for router in routers:
        app.include_router(router)
    models = [served.predictor.row_model, *([feedback.LABELS[served.task]] if state.writer else [])]
    openapi.publish(app, models)
    return app, routing_table(routers)


def routing_table(routers: Iterable[APIRouter]) -> Table:
    """By path and then by method, the first for each, as in FastAPI; what answers GET answers HEAD."""
    found: Table = {}
    for route in [route for router in routers for route in router.routes if isinstance(route, APIRoute)]:
        methods = found.setdefault(route.path, {})
        for method in route.methods or ():
            handler = DIRECT.get(route.path) if method == "POST" else None
            methods.setdefault(method, Route(route.name, route.name in OPEN, handler))
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
    return found


def health_routes(served: LoadedModel, settings: Settings, state: State) -> APIRouter:
    """Whether the process answers, and whether its model does, at the paths of every platform."""
    routes = APIRouter(tags=["The server"])
    name, version = served.name, served.version

    async def live() -> JSONResponse:
        return JSONResponse({"live": True})

    async def ready() -> JSONResponse:
        """One body that every platform's client understands."""
        if state.draining():
            raise RequestError(503, "The server is about to stop")
        facts = {"name": name, "ready": True, "live": True, "status": "ok"}
        return JSONResponse({**facts, "model": name, "version": version})

    paths = ["/readyz", "/ping", "/health", "/v2/health/ready", f"/v1/models/{name}", f"/v2/models/{name}/ready"]
    paths.append(f"/v2/models/{name}/versions/{version}/ready")
    for path in ("/livez", "/v2/health/live"):
        routes.get(path, name="live", summary="The process answers")(live)
    for path in [*paths, *filter(None, [settings.health_route])]:
        routes.get(path, name="ready", summary="A proven model is loaded")(ready)
    return routes


def info_routes(served: LoadedModel, state: State) -> APIRouter:
    """What the server and its model are."""
    routes = APIRouter(tags=["The server"], responses=KEY_ASKED)

    @routes.get("/", name="/", summary="Alive; a browser gets the page", response_class=JSONResponse)
    def root(call: CallParameter) -> Response:
        if wants_html(call.headers):
            return views.form_page(served, call)
        docs = f"{served.root_path}/docs"
        return JSONResponse({"status": "alive", "model": served.name, "version": served.version, "docs": docs})

    @routes.get("/version", name="/version", summary="Of this server", response_class=PlainTextResponse)
    async def server_version() -> PlainTextResponse:
        return PlainTextResponse(VERSION)

    @routes.get("/model", name="/model", summary="What it is, how good, and where it comes from")
    def model(call: CallParameter) -> Response:
        manifest = served.predictor.manifest.model_dump(mode="json", exclude_defaults=True)
        facts = {"name": served.name, "version": served.version, **manifest, "record": served.predictor.record}
        return views.model_page(served, facts) if wants_html(call.headers) else JSONResponse(facts)

    @routes.get("/metrics", name="/metrics", summary="For Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        if state.monitored:
            state.metrics.record_monitor(*feedback.monitor_figures(state.monitored, served.version))
        return Response(state.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return routes

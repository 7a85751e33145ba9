"""All routes of one model: a FastAPI application, and the routing table that the ASGI application uses before it.

It does not enforce limits or API keys: `serve.asgi` does.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.dependencies import models as fastapi_dependencies
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute

from serve import openapi
from serve.errors import RequestError, reported
from serve.messages import VERSION, Call, CallParameter, wants_html
from serve.model import LoadedModel
from serve.openapi import KEY_ASKED
from serve.page import views
from serve.protocols import explain, feedback, invocations, native, open_inference
from serve.settings import Settings
from serve.telemetry.log_writer import LogWriter
from serve.telemetry.metrics import CONTENT_TYPE_LATEST, Metrics
from serve.telemetry.monitor_file import MonitorFile

QUIET: Any = {"tracing": False, "metrics": False, "logs": False}  # turns FastAPI's own telemetry off
OPEN = frozenset({"live", "ready", "/", "/web"})  # names of the routes that need no API key

Handler = Callable[[LoadedModel, Call], Response]
# These routes have the highest load, and FastAPI would double their time: they are called without it. FastAPI still
# documents them, and tests compare the documentation with the responses.
DIRECT: dict[str, Handler] = {
    "/predict": native.predict,
    "/predict/batch": native.batch,
    "/invocations": invocations.invoke,
}


class State(NamedTuple):
    """What routes may use of the server."""

    metrics: Metrics
    draining: Callable[[], bool]
    writer: LogWriter | None = None
    monitored: MonitorFile | None = None


class Route(NamedTuple):
    """A route as the ASGI application sees it.

    `name` is its label in the metrics, an `open` route needs no API key, a `handler` is called without FastAPI.
    """

    name: str
    open: bool
    handler: Handler | None


Table = dict[str, dict[str, Route]]


def build_application(model: LoadedModel, settings: Settings, state: State) -> tuple[FastAPI, Table]:
    """The FastAPI application with every route of this model, and its routing table."""
    servers = [{"url": settings.root_path}] if settings.root_path else None
    app = FastAPI(
        title=model.name,
        summary=model.contract.question,
        description=openapi.describe_limits(settings, model.limits.body_bytes),
        version=model.version,
        openapi_url=None,
        telemetry=QUIET,
        redirect_slashes=False,
        servers=servers,
    )

    async def refuse(request: Request, error: Exception) -> Response:
        refused = reported(error, settings.timeout_seconds)
        return views.error_response(model, refused, request.state.call.id, request.scope, request.scope["path"])

    for kind in (RequestError, TimeoutError, Exception):
        app.add_exception_handler(kind, refuse)

    routers = [
        native.router(model),
        explain.router(model),
        open_inference.router(model),
        views.router(model),
        info_routes(model, state),
        openapi.router(app),
    ]
    body_models = [model.predictor.row_model]
    if state.writer:
        routers.append(feedback.router(model, state.writer))
        body_models.append(feedback.label_model(model.contract))
    # A platform may choose paths of these two. They come last, so that they cannot replace another route.
    routers += [invocations.router(model, settings.predict_route), health_routes(model, settings, state)]

    for router in routers:
        app.include_router(router)
    openapi.publish(app, body_models)
    return app, routing_table(routers)


def forget_endpoints() -> None:
    """Empty FastAPI's caches of endpoints, which would keep every model that was ever served, a megabyte or two each.

    Their keys are the endpoints, and an endpoint refers to its model. FastAPI fills them again as it needs to.
    """
    for function in vars(fastapi_dependencies).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def routing_table(routers: Iterable[APIRouter]) -> Table:
    """The routes by path and then by method. As in FastAPI, the first route of a path and method wins."""
    table: Table = {}
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                add_route(table, route)
    return table


def add_route(table: Table, route: APIRoute) -> None:
    """Add a route to the table for each of its methods, and for HEAD where it has GET. Changes `table`."""
    methods = table.setdefault(route.path, {})
    for method in route.methods or ():
        handler = DIRECT.get(route.path) if method == "POST" else None
        methods.setdefault(method, Route(route.name, route.name in OPEN, handler))
    if "GET" in methods:
        methods["HEAD"] = methods["GET"]


def health_routes(model: LoadedModel, settings: Settings, state: State) -> APIRouter:
    """The liveness checks of the process and the readiness checks of its model, at the paths of every platform."""
    routes = APIRouter(tags=["The server"])
    name = model.name
    version = model.version

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
    if settings.health_route:
        paths.append(settings.health_route)

    for path in ("/livez", "/v2/health/live"):
        routes.get(path, name="live", summary="Liveness: the process answers")(live)
    for path in paths:
        routes.get(path, name="ready", summary="Readiness: a checked model is loaded")(ready)
    return routes


def info_routes(model: LoadedModel, state: State) -> APIRouter:
    routes = APIRouter(tags=["The server"], responses=KEY_ASKED)

    @routes.get("/", name="/", summary="Alive; a browser gets the page", response_class=JSONResponse)
    def root(call: CallParameter) -> Response:
        if wants_html(call.headers):
            return views.form_page(model, call)
        docs = f"{model.root_path}/docs"
        return JSONResponse({"status": "alive", "model": model.name, "version": model.version, "docs": docs})

    @routes.get("/version", name="/version", summary="Of this server", response_class=PlainTextResponse)
    async def server_version() -> PlainTextResponse:
        return PlainTextResponse(VERSION)

    @routes.get("/model", name="/model", summary="The model: origin, metrics and gates")
    def model_facts(call: CallParameter) -> Response:
        manifest = model.predictor.manifest.model_dump(mode="json", exclude_defaults=True)
        facts = {"name": model.name, "version": model.version, **manifest, "record": model.predictor.record}
        if wants_html(call.headers):
            return views.model_page(model, facts)
        return JSONResponse(facts)

    @routes.get("/metrics", name="/metrics", summary="For Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        if state.monitored:
            figures, last_run = state.monitored.figures(model.version)
            state.metrics.record_monitor(figures, last_run)
        return Response(state.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return routes

"""The ASGI application. It checks each request's size, time limit, API key and the number of requests in flight, and
then calls a handler or FastAPI. It knows nothing about the content of a request or a response.
"""

import asyncio
import base64
import hmac
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from anyio import to_thread
from fastapi.concurrency import run_in_threadpool

from pipeline.runtime import rolling_features
from serve.browsers import check_host, check_origin
from serve.errors import RequestError, reported
from serve.lanes import THREADS, Lanes, Place, lane_of
from serve.limits import is_light
from serve.messages import Call, DisconnectedError, Headers, Receive, read_body, request_id, wants_html
from serve.model import LoadedModel
from serve.page.views import error_response
from serve.routes import Route, Table
from serve.settings import Settings
from serve.telemetry.event_log import EventLog
from serve.telemetry.metrics import Metrics

NO_SNIFFING = (b"x-content-type-options", b"nosniff")  # a browser takes a response for what its content type says
VARY = (b"vary", b"accept")  # on what depends on that header, as each error does: a cache must not mix it up
PROBES = frozenset({"live", "ready"})  # names of routes
NEGOTIATED = frozenset({"/", "/model", "/model/card", "/model/data-card"})  # of those with a page for a browser


class ActiveModel(NamedTuple):
    """The model that is served now, its routing table, and its routes as an ASGI application."""

    model: LoadedModel
    table: Table
    routes: Any


class ServingApp:
    """An ASGI application. `serve` sets its model before the first request, and may replace it between two requests."""

    def __init__(self, settings: Settings, metrics: Metrics, log: EventLog) -> None:
        self.settings = settings
        self.metrics = metrics
        self.log = log
        self.draining = False
        self.now: ActiveModel
        self.at_end: Callable[[], None] | None = None
        self.watches: list[Callable[[], Coroutine[Any, Any, None]]] = []

        self._keys = [key.encode() for key in settings.api_keys]
        self._lanes = Lanes()
        self._in_flight = 0
        self._expires: dict[asyncio.Task[Any] | None, float] = {}

        metrics.in_flight.set_function(lambda: self._in_flight)
        metrics.rolling_features_age.set_function(lambda: self.now.model.rolling_age_days() * rolling_features.DAY)

    def serve(self, model: LoadedModel, table: Table, routes: Any) -> None:
        self.now = ActiveModel(model, table, routes)
        self.metrics.set_model(model.name, model.version)

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Any) -> None:
        """While the server runs, cancel the requests that exceed the time limit, and run the watches."""
        await receive()  # lifespan.startup
        to_thread.current_default_thread_limiter().total_tokens = sum(THREADS.values())
        running = [asyncio.create_task(watch()) for watch in [self._end_overdue, *self.watches]]
        await send({"type": "lifespan.startup.complete"})

        await receive()  # lifespan.shutdown
        for task in running:
            task.cancel()
        if self.at_end:
            await asyncio.to_thread(self.at_end)
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Any, receive: Receive, send: Any) -> None:
        now = self.now  # one model for the whole request, even if another one replaces it meanwhile
        began = time.perf_counter()
        headers: Headers = dict(scope["headers"])
        call_id = request_id(headers)
        path = self._below_root(scope["path"])
        method = scope["method"]
        route_name = "none"
        status = 0

        async def send_with_id(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += [(b"x-request-id", call_id.encode()), NO_SNIFFING]
                if status >= 400 or route_name in NEGOTIATED:
                    message["headers"].append(VARY)
            await send(message)

        try:
            route = find_route(now.table.get(path), method, path)
            route_name = route.name
            self._admit(route, method, headers)
            self._in_flight += not route.open  # a health check does not count towards MAX_IN_FLIGHT
            try:
                await self._dispatch(now, route, scope, path, headers, call_id, receive, send_with_id)
            finally:
                self._in_flight -= not route.open
        except DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001 -- reason: the log gets the whole error, the caller no internals
            if not isinstance(error, RequestError | TimeoutError):
                self.log.failed(error, request_id=call_id, route=route_name)
            if not status:  # no part of a response has been sent
                # Without its traceback: the frames in that hold the body, and this one would hold the error.
                refused = reported(error, self.settings.timeout_seconds).with_traceback(None)
                await error_response(now.model, refused, call_id, scope, path)(scope, receive, send_with_id)

        seconds = time.perf_counter() - began
        self.metrics.record_request(route_name, status, seconds)
        self.log.request(call_id, route_name, status, seconds)

    def _below_root(self, path: str) -> str:
        """The path without ROOT_PATH. Some proxies remove this prefix themselves, others pass it on."""
        root = self.settings.root_path
        if root and (path == root or path.startswith(f"{root}/")):
            return path[len(root) :] or "/"
        return path

    def _admit(self, route: Route, method: str, headers: Headers) -> None:
        """Raises RequestError for a request of another site's page (403, 421), without a valid API key (401), and at
        MAX_IN_FLIGHT requests (503).
        """
        if self.settings.allowed_hosts and route.name not in PROBES:  # these find the server by its address
            check_host(headers, self.settings.allowed_hosts)
        if b"origin" in headers and method == "POST":
            check_origin(headers, self.settings.allowed_origins)
        if not route.open or (route.name == "/" and wants_html(headers)):  # the page shows rows, the JSON does not
            self._require_key(headers)
        if self._in_flight >= self.settings.max_in_flight and not route.open:
            text = f"{self._in_flight} requests are in flight, as many as MAX_IN_FLIGHT allows; try again"
            raise RequestError(503, text, headers=[("retry-after", "1")])

    def _require_key(self, headers: Headers) -> None:
        """Raises RequestError (401) without a valid API key.

        The sent key is compared with every key in constant time, so that the response time reveals nothing.
        """
        if not self._keys:
            return

        sent_key = headers.get(b"x-api-key") or credential(headers.get(b"authorization", b""))
        if sum(hmac.compare_digest(sent_key, key) for key in self._keys) == 0:
            text = "An API key is required: send it as `authorization: Bearer …` or `x-api-key: …`"
            scheme = 'Basic realm="API key as the password", charset="UTF-8"' if wants_html(headers) else "Bearer"
            raise RequestError(401, text, headers=[("www-authenticate", scheme)])

    async def _dispatch(
        self,
        now: ActiveModel,
        route: Route,
        scope: Any,
        path: str,
        headers: Headers,
        call_id: str,
        receive: Receive,
        send: Any,
    ) -> None:
        """Read the body, call the handler or FastAPI, and send the response: in the event loop where the body is light.

        Raises TimeoutError at the time limit: `_end_overdue` cancels the task, since a timer for each request costs
        more. Raises RequestError for a body that cannot be read.
        """
        task = asyncio.current_task()
        expires = time.monotonic() + self.settings.timeout_seconds
        self._expires[task] = expires

        try:
            has_body = scope["method"] == "POST"
            body = await read_body(receive, headers, now.model.limits.body_bytes) if has_body else b""
            call = Call(call_id, body, headers, expires, scope["query_string"])
            light = is_light(body)
            if route.handler and light:
                await route.handler(now.model, call)(scope, receive, send)
            else:
                lane = self._lanes.place(lane_of(route.name, light))
                await self._answer_in_lane(lane, now, route, call, {**scope, "path": path}, receive, send)
        except asyncio.CancelledError:
            if task is None or time.monotonic() < expires:
                raise  # cancelled for another reason than the time limit
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._expires[task]

    async def _answer_in_lane(
        self, lane: Place, now: ActiveModel, route: Route, call: Call, scope: Any, receive: Receive, send: Any
    ) -> None:
        """Call the handler in a thread of the lane, or FastAPI, and send the response."""
        async with lane as place:
            if route.handler:
                response = await run_in_threadpool(route.handler, now.model, call)
                place.leave()
                await response(scope, receive, send)
                return

            async def send_after(message: Any) -> None:
                place.leave()
                await send(message)

            method = "GET" if scope["method"] == "HEAD" else scope["method"]  # uvicorn drops the response's body
            await now.routes({**scope, "method": method, "state": {"call": call}}, receive, send_after)

    async def _end_overdue(self) -> None:
        """Cancel the requests that have exceeded the time limit. Checks at least four times in each time limit."""
        while True:
            await asyncio.sleep(min(0.25, self.settings.timeout_seconds / 4))
            now = time.monotonic()
            for task, expires in list(self._expires.items()):
                if task and now >= expires:
                    task.cancel()


def credential(authorization: bytes) -> bytes:
    """The API key of an authorization header: the bearer token or, from a browser, the password of basic auth."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return value.strip() if scheme.lower() == b"bearer" else authorization


def find_route(methods: dict[str, Route] | None, method: str, path: str) -> Route:
    """Raises RequestError for an unknown path (404), and for a method that the path does not accept (405)."""
    if methods is None:
        raise RequestError(404, f"There is no path {path[:200]}; /docs lists the paths")
    if method not in methods:
        allowed = ", ".join(methods)
        raise RequestError(405, f"{method[:20]} is not supported here; send {allowed}", headers=[("allow", allowed)])
    return methods[method]

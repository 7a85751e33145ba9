"""The ASGI application: limits on size, time, keys and numbers for every request, before anything is made of it. Then a
handler answers, or FastAPI with the routes.
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
from serve.errors import RequestError, problem
from serve.messages import Call, DisconnectedError, Headers, Receive, read_body, request_id, wants_html
from serve.model import LoadedModel
from serve.routes import Route, Table
from serve.settings import Settings
from serve.telemetry.event_log import EventLog
from serve.telemetry.metrics import Metrics

INLINE = 65_536  # bytes of body that are worked on at once; longer ones leave the event loop free for others
THREADS = 2  # that work beside the event loop: more of them would only wait for each other


class ActiveModel(NamedTuple):
    """What answers at this moment: a model, and its routes by path and method and as an ASGI application."""

    model: LoadedModel
    table: Table
    routes: Any


class ServingApp:
    """An ASGI application. `serve` puts a model in service, before the first request and between any two of them."""

    def __init__(self, settings: Settings, metrics: Metrics, log: EventLog) -> None:
        self.settings, self.metrics, self.log, self.draining = settings, metrics, log, False
        self._keys = [key.encode() for key in settings.api_keys]
        self._in_flight = 0
        self._expires: dict[asyncio.Task[Any] | None, float] = {}
        metrics.in_flight.set_function(lambda: self._in_flight)
        metrics.rolling_features_age.set_function(lambda: self.now.model.rolling_age_days() * rolling_features.DAY)
        self.now: ActiveModel
        self.at_end: Callable[[], None] | None = None
        self.watches: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def serve(self, served: LoadedModel, table: Table, routes: Any) -> None:
        """From now on answer with this model."""
        self.now = ActiveModel(served, table, routes)
        self.metrics.set_model(served.name, served.version)

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Any) -> None:
        """From the server's start to its end: end what is overdue, and look for new champions."""
        running: list[asyncio.Task[None]] = []
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                to_thread.current_default_thread_limiter().total_tokens = THREADS
                running = [asyncio.create_task(each()) for each in [self._end_overdue, *self.watches]]
            if message["type"] == "lifespan.shutdown":
                for task in running:
                    task.cancel()
                if self.at_end:
                    await asyncio.to_thread(self.at_end)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _http(self, scope: Any, receive: Receive, send: Any) -> None:
        now = self.now  # one model from here to the end, whatever comes in between
        began = time.perf_counter()
        headers: Headers = dict(scope["headers"])
        name, path, method = request_id(headers), self._below_root(scope["path"]), scope["method"]
        route, status = "none", 0

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", name.encode()))
            await send(message)

        try:
            chosen = find_route(now.table.get(path), method, path)
            route = chosen.name
            self._admit(chosen, headers)
            self._in_flight += not chosen.open  # a check of health neither takes a place nor needs one
            try:
                await self._dispatch(now, chosen, scope, path, headers, name, receive, answer)
            finally:
                self._in_flight -= not chosen.open
        except DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001 -- reason: told in the log, and to the caller without the inside
            if not isinstance(error, RequestError | TimeoutError):
                self.log.failed(error, request_id=name, route=route)
            if not status:  # nothing of an answer is out yet
                await problem(error, name, path, self.settings.timeout_seconds)(scope, receive, answer)
        self._record(name, route, status, began)

    def _below_root(self, path: str) -> str:
        """The path without what a proxy has put before it, where that has not taken it off itself."""
        root = self.settings.root_path
        return path[len(root) :] or "/" if root and (path == root or path.startswith(f"{root}/")) else path

    def _record(self, name: str, route: str, status: int, began: float) -> None:
        took = time.perf_counter() - began
        self.metrics.record_request(route, status, took)
        self.log.request(name, route, status, took)

    def _admit(self, route: Route, headers: Headers) -> None:
        """Raises RequestError for one without a key, and where too many are in already."""
        if not route.open or (route.name == "/" and wants_html(headers)):  # the page shows rows, its JSON does not
            self._require_key(headers)
        if self._in_flight >= self.settings.max_in_flight and not route.open:
            text = f"{self._in_flight} requests are being answered (MAX_IN_FLIGHT); try again"
            raise RequestError(503, text, headers=[("retry-after", "1")])

    def _require_key(self, headers: Headers) -> None:
        """Every key is compared, in constant time, so that the time tells nothing."""
        if not self._keys:
            return
        given = headers.get(b"x-api-key") or credential(headers.get(b"authorization", b""))
        if sum(hmac.compare_digest(given, key) for key in self._keys) == 0:
            text = "An API key is asked for: send it as `authorization: Bearer …` or `x-api-key: …`"
            way = 'Basic realm="API key as the password", charset="UTF-8"' if wants_html(headers) else "Bearer"
            raise RequestError(401, text, headers=[("www-authenticate", way)])

    async def _dispatch(
        self,
        now: ActiveModel,
        route: Route,
        scope: Any,
        path: str,
        headers: Headers,
        name: str,
        receive: Receive,
        answer: Any,
    ) -> None:
        """Raises TimeoutError at the time limit. `_end_overdue` sees to that: a timer for each request costs more."""
        task, expires = asyncio.current_task(), time.monotonic() + self.settings.timeout_seconds
        self._expires[task] = expires
        try:
            sent = scope["method"] == "POST"
            body = await read_body(receive, headers, self.settings.max_body_bytes) if sent else b""
            call = Call(name, body, headers, expires, scope["query_string"])
            if route.handler is None:
                method = "GET" if scope["method"] == "HEAD" else scope["method"]  # the server drops the body
                asked = {**scope, "path": path, "method": method, "state": {"call": call}}
                await now.routes(asked, receive, answer)
                return
            if len(body) <= INLINE:
                response = route.handler(now.model, call)
            else:
                response = await run_in_threadpool(route.handler, now.model, call)
            await response(scope, receive, answer)
        except asyncio.CancelledError:
            if task is None or time.monotonic() < expires:
                raise  # somebody else's wish
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._expires[task]

    async def _end_overdue(self) -> None:
        """Ends whatever has waited for longer than it may, several times in each time limit."""
        while True:
            await asyncio.sleep(min(0.25, self.settings.timeout_seconds / 4))
            now = time.monotonic()
            for task, expires in list(self._expires.items()):
                if task and now >= expires:
                    task.cancel()


def credential(authorization: bytes) -> bytes:
    """The key as a bearer's token or, from browsers, as the password of whoever."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return value.strip() if scheme.lower() == b"bearer" else authorization


def find_route(methods: dict[str, Route] | None, method: str, path: str) -> Route:
    """Raises RequestError for a path or a method that is not there."""
    if methods is None:
        raise RequestError(404, f"There is nothing at {path[:200]}; /docs lists what there is")
    if method not in methods:
        allowed = ", ".join(methods)
        raise RequestError(405, f"{method[:20]} is not answered here; send {allowed}", headers=[("allow", allowed)])
    return methods[method]

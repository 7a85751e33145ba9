"""The front door: every request comes in here, is read within its limits, and is answered by a plain function, a
documented page or a problem. FastAPI stands behind it and makes the pages.
"""

import asyncio
import base64
import hmac
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from pipeline import memory
from serve.calls import Call, DisconnectedError, Headers, Receive, Reply, read, request_id, wants_html
from serve.errors import PLAIN, RequestError
from serve.log import Log
from serve.metrics import Metrics
from serve.routes import Route, Table
from serve.served import Served
from serve.settings import Settings

INLINE = 65_536  # bytes of body that are worked on at once; longer ones leave the event loop free for others
PAGES = ("/docs", "/openapi.json")


class Now(NamedTuple):
    """What answers at this moment."""

    served: Served
    table: Table
    pages: Any


class Front:
    """An ASGI application. `serve` puts a model in service, before the first request and between any two of them."""

    def __init__(self, settings: Settings, metrics: Metrics, log: Log) -> None:
        self.settings, self.metrics, self.log, self.draining = settings, metrics, log, False
        self._keys = [key.encode() for key in settings.api_keys]
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="rows")
        self._in_flight = 0
        self._expires: dict[asyncio.Task[Any] | None, float] = {}
        metrics.in_flight.set_function(lambda: self._in_flight)
        metrics.memory_age.set_function(lambda: self.now.served.age() * memory.DAY)
        self.now: Now
        self.at_end: Callable[[], None] | None = None
        self.watches: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def serve(self, served: Served, table: Table, pages: Any) -> None:
        """From now on answer with this model; `pages` is the ASGI application that documents it."""
        self.now = Now(served, table, pages)
        self.metrics.serves(served.name, served.version)

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _live(self, receive: Receive, send: Any) -> None:
        """From the server's start to its end: end what is overdue, and look for new champions."""
        running: list[asyncio.Task[None]] = []
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                running = [asyncio.create_task(each()) for each in [self._end_overdue, *self.watches]]
            if message["type"] == "lifespan.shutdown":
                for task in running:
                    task.cancel()
                self._pool.shutdown(wait=False)
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
        route = "none"
        try:
            methods = now.table.get(path)
            if methods is None and path.startswith(PAGES):
                route = "pages"
                self._ask_for_key(headers)
                status = await page(now.pages, {**scope, "path": path}, receive, send, name)
                self._told(name, route, status, began)
                return
            found = chosen(methods, method, path)
            route = found.name
            self._admit(found, headers)
            self._in_flight += not found.open  # a check of health neither takes a place nor needs one
            try:
                reply = await self._answer(now.served, found, scope, headers, name, receive)
            finally:
                self._in_flight -= not found.open
        except DisconnectedError:
            return
        except RequestError as refused:
            reply = problem(refused, name, path)
        except TimeoutError:
            limit = f"{self.settings.timeout_seconds:g} s (TIMEOUT_SECONDS)"
            reply = problem(RequestError(504, f"The request was not there and answered within {limit}"), name, path)
        except Exception as error:  # noqa: BLE001 -- reason: told in the log, and to the caller without the inside
            self.log.failed(error, request_id=name, route=route)
            words = "The server failed, not your request. Its log has the reason under this id"
            reply = problem(RequestError(500, words), name, path)
        started = {"type": "http.response.start", "status": reply.status, "headers": head(reply, name)}
        await send(started)
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else reply.body})
        self._told(name, route, reply.status, began)

    def _below_root(self, path: str) -> str:
        """The path without what a proxy has put before it, where that has not taken it off itself."""
        root = self.settings.root_path
        return path[len(root) :] or "/" if root and (path == root or path.startswith(f"{root}/")) else path

    def _told(self, name: str, route: str, status: int, began: float) -> None:
        took = time.perf_counter() - began
        self.metrics.requested(route, status, took)
        self.log.request(name, route, status, took)

    def _admit(self, route: Route, headers: Headers) -> None:
        """Raises RequestError for one without a key, and where too many are in already."""
        if not route.open or (route.name == "/" and wants_html(headers)):  # the page shows rows, its JSON does not
            self._ask_for_key(headers)
        if self._in_flight >= self.settings.max_in_flight and not route.open:
            text = f"{self._in_flight} requests are being answered (MAX_IN_FLIGHT); try again"
            raise RequestError(503, text, headers=[("retry-after", "1")])

    def _ask_for_key(self, headers: Headers) -> None:
        """Every key is compared, in constant time, so that the time tells nothing."""
        if not self._keys:
            return
        given = headers.get(b"x-api-key") or credential(headers.get(b"authorization", b""))
        if sum(hmac.compare_digest(given, key) for key in self._keys) == 0:
            text = "An API key is asked for: send it as `authorization: Bearer …` or `x-api-key: …`"
            way = 'Basic realm="API key as the password", charset="UTF-8"' if wants_html(headers) else "Bearer"
            raise RequestError(401, text, headers=[("www-authenticate", way)])

    async def _answer(
        self, served: Served, route: Route, scope: Any, headers: Headers, name: str, receive: Receive
    ) -> Reply:
        """Raises TimeoutError at the time limit. `_end_overdue` sees to that: a timer for each request costs more."""
        task, expires = asyncio.current_task(), time.monotonic() + self.settings.timeout_seconds
        self._expires[task] = expires
        try:
            sent = scope["method"] == "POST"
            body = await read(receive, headers, self.settings.max_body_bytes) if sent else b""
            call = Call(name, body, headers, expires, scope["query_string"])
            if len(body) <= INLINE and not route.slow:
                return route.handler(served, call)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, route.handler, served, call)
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


def chosen(methods: dict[str, Route] | None, method: str, path: str) -> Route:
    """Raises RequestError for a path or a method that is not there."""
    if methods is None:
        raise RequestError(404, f"There is nothing at {path[:200]}; /docs lists what there is")
    if method not in methods:
        allowed = ", ".join(methods)
        raise RequestError(405, f"{method[:20]} is not answered here; send {allowed}", headers=[("allow", allowed)])
    return methods[method]


async def page(pages: Any, scope: Any, receive: Receive, send: Any, name: str) -> int:
    """A page of FastAPI's; its status."""
    told = [404]

    async def noted(message: Any) -> None:
        if message["type"] == "http.response.start":
            told[0] = message["status"]
            message = {**message, "headers": [*message["headers"], (b"x-request-id", name.encode())]}
        await send(message)

    await pages({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, receive, noted)
    return told[0]


def head(reply: Reply, name: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", reply.content_type),
        (b"content-length", str(len(reply.body)).encode()),
        (b"x-request-id", name.encode()),
        *reply.headers,
    ]


def problem(refused: RequestError, name: str, path: str) -> Reply:
    plain = path.startswith(PLAIN)
    kind = b"application/json" if plain else b"application/problem+json"
    more = tuple((key.encode(), value.encode()) for key, value in refused.headers)
    return Reply(refused.status, refused.problem(name).model_dump_json().encode(), kind, more)

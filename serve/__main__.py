"""The `serve` command: read the settings from the environment, open the socket, run uvicorn."""

import gc
import json
import os
import shlex
import signal
import socket
import sys
from errno import EADDRINUSE
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, PipelineError
from serve.settings import Settings, describe_variables, from_environment

if TYPE_CHECKING:
    from pipeline.runtime.predictor import Predictor

STOPS = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Serve until a signal arrives. A PipelineError ends the process with one message and its exit code."""
    arguments = sys.argv[1:]
    if arguments:
        usage = "usage: serve\n\nServes the champion over HTTP. Settings are environment variables:"
        print(f"{usage}\n{describe_variables()}")
        exit_code = 0 if arguments[0] in ("-h", "--help") else ConfigError.exit_code
        sys.exit(exit_code)

    try:
        run(from_environment(os.environ))
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def run(settings: Settings) -> None:
    """Serve with these settings until a signal arrives.

    Raises BundleError for a bundle that must not be served, ConfigError for an address that cannot be opened.
    """
    for number in STOPS:
        signal.signal(number, leave)

    listener = listen(settings)
    import uvicorn  # after the socket: a port that is in use is reported at once

    from serve.app import create_app
    from serve.connections.http_protocol import HttpProtocol
    from serve.connections.open_connections import OpenConnections, fit_open_files

    app = create_app(settings)
    limit = fit_open_files(settings.max_connections)
    connections = OpenConnections(limit, settings.header_seconds, app.metrics, app.log)
    app.watches.append(connections.watch)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            app.draining = True  # the readiness check fails from now on; requests in flight still get their response
            super().handle_exit(sig, frame)

    protocol: Any = partial(HttpProtocol, connections)  # uvicorn calls it as it would call its own class
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=8,
    )
    server = Server(config)
    for number in STOPS:  # uvicorn installs the same handlers later; a signal before that must not be lost
        signal.signal(number, server.handle_exit)

    sys.setswitchinterval(0.001)  # seconds; a thread with many rows gives way to the event loop sooner
    gc.freeze()  # these objects stay: with large requests a full collection would spend 10 ms on them

    print(greeting(address(listener), app.now.model.predictor), flush=True)
    server.run(sockets=[listener])


def leave(number: int, _: Any) -> None:
    """Exit at once: no request is in flight yet. The code that the signal interrupts could swallow an exception."""
    os._exit(130 if number == signal.SIGINT else 0)


def listen(settings: Settings) -> socket.socket:
    """A listening socket. Raises ConfigError where the address cannot be opened."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    try:
        listener.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as error:  # the last two for a HOST that is not a valid name
        reason = getattr(error, "strerror", None) or "HOST is not an address"
        hint = ". Another port: PORT=8081, or PORT=0 for a free one" if getattr(error, "errno", 0) == EADDRINUSE else ""
        if "-conda" in settings.host:
            hint = " (conda sets HOST to something else: unset HOST)"
        raise ConfigError(f"HOST={settings.host!r} PORT={settings.port}: cannot listen there: {reason}{hint}") from None

    listener.listen(2048)
    return listener


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def greeting(address: str, predictor: "Predictor") -> str:
    """The server's address, and a curl command that requests a prediction for the bundle's first golden row."""
    row = shlex.quote(json.dumps(predictor.golden.rows[0], ensure_ascii=False))
    return (
        f"{predictor.contract.question}\n"
        f"{predictor.contract.name} {predictor.version} serves at {address}  (docs: {address}/docs)\n\n"
        f"curl -s {address}/predict -H 'content-type: application/json' -d {row}\n"
    )


if __name__ == "__main__":
    main()

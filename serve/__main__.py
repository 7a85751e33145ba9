"""`serve`: settings from the environment, a socket, uvicorn."""

import gc
import json
import os
import shlex
import signal
import socket
import sys
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, PipelineError
from serve.settings import Settings, describe_variables, from_environment

if TYPE_CHECKING:
    from pipeline.runtime.predictor import Predictor

STOPS = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Serve until a signal comes. What a person can mend ends with one message and its exit code."""
    if sys.argv[1:]:
        print(
            f"usage: serve\n\nServes the champion over HTTP. Settings are environment variables:\n{describe_variables()}"
        )
        sys.exit(0 if sys.argv[1] in ("-h", "--help") else ConfigError.exit_code)
    try:
        run(from_environment(os.environ))
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def run(settings: Settings) -> None:
    """Raises BundleError for a bundle that may not serve, ConfigError for an address that cannot be had."""
    for number in STOPS:
        signal.signal(number, leave)
    listener = listen(settings)
    import uvicorn  # after the socket: a taken port is told at once

    from serve.app import create_app

    app = create_app(settings)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            app.draining = True  # readiness goes red; what is in flight is answered
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app, access_log=False, log_level="warning", proxy_headers=False, timeout_graceful_shutdown=8
    )
    server = Server(config)
    for number in STOPS:  # uvicorn does it too, but later, and until then a signal must not be lost
        signal.signal(number, server.handle_exit)
    sys.setswitchinterval(0.001)  # seconds; a thread with many rows gives way to the loop sooner
    gc.freeze()  # what is here stays: a full collection beside large requests would take 10 ms for it

    print(greeting(address(listener), app.now.model.predictor), flush=True)
    server.run(sockets=[listener])


def leave(number: int, _: Any) -> None:
    """End at once: nothing is served yet. An exception could be lost in whatever code the signal has interrupted."""
    os._exit(130 if number == signal.SIGINT else 0)


def listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as error:  # the last two for a HOST that is no name at all
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
    """The address, and a line to paste that asks one of the bundle's own rows."""
    row = shlex.quote(json.dumps(predictor.golden.rows[0], ensure_ascii=False))
    return (
        f"{predictor.contract.question}\n"
        f"{predictor.contract.name} {predictor.version} answers at {address}  (docs: {address}/docs)\n\n"
        f"curl -s {address}/predict -H 'content-type: application/json' -d {row}\n"
    )


if __name__ == "__main__":
    main()

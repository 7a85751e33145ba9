"""`python -m serve.healthcheck`, the image's HEALTHCHECK: exits with 0 if the server of this environment is ready."""

import os
import sys
from http.client import HTTPConnection, HTTPException

from pipeline.errors import ConfigError
from serve.settings import from_environment

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- reason: these are only looked up, not bound


def main() -> None:
    try:
        settings = from_environment(os.environ)
    except ConfigError as error:
        sys.exit(f"not ready: {error}")

    host = EVERYWHERE.get(settings.host, settings.host)
    connection = HTTPConnection(host, settings.port, timeout=2)  # HTTPConnection ignores the proxies of the environment
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        sys.exit(f"not ready: {host} port {settings.port}: {error}")
    finally:
        connection.close()

    if status != 200:
        sys.exit(f"not ready: {host} port {settings.port} answers {status}")


if __name__ == "__main__":
    main()

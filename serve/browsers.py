"""What a page of another site cannot do with this server, through the browser of somebody who may.

A browser says in `Origin` which page sends a request, and in `Host` under which name it found the server. It knows
nothing about routes.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from serve.errors import RequestError
from serve.messages import Headers


def check_origin(headers: Headers, allowed: Collection[str]) -> None:
    """Raises RequestError (403) where a page sends the request that is neither this server's own nor allowed.

    Programs send no `Origin`. Where a proxy changes `Host`, the browser itself says that the page has the same origin.
    """
    origin = headers.get(b"origin")
    if origin is None or headers.get(b"sec-fetch-site") == b"same-origin":
        return

    name = origin.decode("latin-1").lower()
    if name in allowed or urlsplit(name).netloc == headers.get(b"host", b"").decode("latin-1").lower() != "":
        return
    text = f"The page that sends this request is of {name[:100]!r}, which ALLOWED_ORIGINS does not list"
    raise RequestError(403, text)


def check_host(headers: Headers, allowed: Collection[str]) -> None:
    """Raises RequestError (421) where the request's `Host`, without its port, is not allowed; none allowed is all.

    A name of another site that leads to this address makes its pages this server's own for a browser.
    """
    if not allowed:
        return
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name, separator, port = host.rpartition(":")
    if separator and port.isdigit():
        host = name
    if host not in allowed:
        raise RequestError(421, f"The Host is {host[:100]!r}, which ALLOWED_HOSTS does not list")

"""A page of another site cannot use the browser of somebody who may send requests."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256

import httpx2
import pytest

from pipeline.errors import ConfigError
from serve.browsers import check_host, check_origin
from serve.errors import RequestError
from serve.settings import from_environment
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving

SHOP = "https://shop.example"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def pinned(parcels: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    log = f"sqlite:///{tmp_path_factory.mktemp('pinned')}/log.db"
    hosts = "Parcels.example, 127.0.0.1"
    with serving(
        parcels.store, ALLOWED_HOSTS=hosts, ALLOWED_ORIGINS=f"{SHOP}, http://localhost:3000", LOG_URL=log
    ) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/predict", "/explain", "/answer", "/invocations", "/feedback", "/v2/models/parcels/infer"]
)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "https://shop.example.evil.example"]
)
def test_the_page_of_another_site_is_refused(pinned: httpx2.Client, path: str, origin: str) -> None:
    """127.0.0.1 without this server's port is another server of the same machine."""
    answer = pinned.post(path, content=b"{}", headers={"origin": origin, **FORM})
    assert (answer.status_code, "ALLOWED_ORIGINS" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize("origin", [SHOP, "HTTPS://Shop.Example", "http://localhost:3000", None, "own"])
def test_allowed_pages_own_pages_and_programs_are_answered(pinned: httpx2.Client, origin: str | None) -> None:
    own = str(pinned.base_url).rstrip("/")
    sent = {} if origin is None else {"origin": own if origin == "own" else origin}
    assert pinned.post("/predict", json=REQUIRED, headers=sent).status_code == 200


def test_behind_a_proxy_the_browser_says_that_the_page_is_the_servers_own() -> None:
    """Its name is not the one that the proxy uses."""
    headers = {b"origin": b"https://parcels.example", b"host": b"10.0.0.7:8080"}
    with pytest.raises(RequestError):
        check_origin(headers, [])
    check_origin({**headers, b"sec-fetch-site": b"same-origin"}, [])
    with pytest.raises(RequestError):
        check_origin({**headers, b"sec-fetch-site": b"cross-site"}, [])


def test_a_name_that_is_not_pinned_is_refused_except_for_probes(pinned: httpx2.Client) -> None:
    """A platform's probe asks by the address."""
    for path in ("/", "/model", "/metrics", "/nothing", "/docs"):
        answer = pinned.get(path, headers={"host": "evil.example"})
        expected = 404 if path == "/nothing" else 421
        assert answer.status_code == expected
    assert pinned.get("/readyz", headers={"host": "10.0.0.7:8080"}).status_code == 200
    assert pinned.get("/model", headers={"host": "parcels.EXAMPLE:443"}).status_code == 200


@pytest.mark.parametrize("host", [b"", b"parcels.example.evil.example", b"parcels.example:80:80", b"[::1]:8080"])
def test_only_the_pinned_names_are_taken(host: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        check_host({b"host": host}, ["parcels.example"])
    assert refused.value.status == 421
    check_host({b"host": host}, [])


def test_an_ipv6_address_can_be_pinned() -> None:
    check_host({b"host": b"[::1]:8080"}, ["[::1]"])


def test_an_origin_with_a_path_is_no_origin() -> None:
    with pytest.raises(
        ConfigError, match="ALLOWED_ORIGINS=https://shop.example/: an origin should be a scheme and a host"
    ):
        from_environment({"ALLOWED_ORIGINS": "https://shop.example/"})


@pytest.mark.parametrize("path", ["/v1/models/parcels:explain", "/v2/models/parcels/infer", "/predict", "/answer"])
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x"])
def test_the_types_of_forms_are_refused_where_no_client_needs_them(server: httpx2.Client, path: str, kind: str) -> None:
    assert server.post(path, content=b"{}", headers={"content-type": kind}).status_code == 415


def test_every_response_says_that_its_type_is_not_to_be_guessed(server: httpx2.Client) -> None:
    paths = ["/", "/predict", "/livez", "/docs", "/docs/files/swagger-ui.css", "/openapi.json", "/web/style.css", "/no"]
    responses = [server.get(path) for path in paths]
    responses += [
        server.post("/predict", json=REQUIRED),
        server.post("/predict", content=b"{"),
        server.request("BREW", "/"),
    ]
    for answer in responses:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url


def test_the_docs_run_only_their_own_scripts(server: httpx2.Client) -> None:
    """The scripts in the page are known by their hashes; that the page works is a browser's test."""
    page = server.get("/docs")
    policy = page.headers["content-security-policy"]
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'; script-src 'self' 'sha256-" in policy
    assert "unsafe-inline" not in policy.partition("style-src")[0]


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/files/swagger-ui.css", "/openapi.json", "/web/style.css", "/docs/no", "/openapi.json/no"]
)
@pytest.mark.parametrize(
    "sent", [("GET", {"range": "bytes=x"}), ("GET", {"range": "bytes=9-1,5"}), ("POST", {}), ("PUT", {})]
)
def test_errors_below_the_docs_have_the_servers_own_body(
    server: httpx2.Client, path: str, sent: tuple[str, dict[str, str]]
) -> None:
    method, headers = sent
    answer = server.request(method, path, headers=headers)
    assert answer.status_code in (200, 404, 405)
    if answer.status_code != 200:
        assert answer.json()["request_id"] == answer.headers["x-request-id"]

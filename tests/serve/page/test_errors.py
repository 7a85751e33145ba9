"""Errors: a browser gets a page with the facts of the JSON, and everybody else the JSON as it is."""

import json
import re
import socket
import threading
import time
from html import unescape
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from fastapi.testclient import TestClient

from serve.app import create_app
from serve.settings import Settings
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
FORM = "application/x-www-form-urlencoded"
SCRIPT = "<script>alert(1)</script>"
ERRORS: list[tuple[int, str, str, dict[str, Any]]] = [
    (404, "GET", "/nowhere", {}),
    (404, "POST", "/nowhere", {}),
    (405, "GET", "/predict", {}),
    (405, "DELETE", "/answer", {}),
    (413, "POST", "/answer", {"content": b"a=" + b"1" * 70_000, "headers": {"content-type": FORM}}),
    (415, "POST", "/answer", {"content": b"{}", "headers": {"content-type": "application/json"}}),
    (403, "POST", "/answer", {"data": REQUIRED, "headers": {"origin": "https://elsewhere.example"}}),
    (422, "POST", "/predict", {"json": {**REQUIRED, "weight": 1, "no_field": 2}}),
    (404, "GET", "/v2/models/none", {}),
]


def both(client: Any, method: str, path: str, **request: Any) -> tuple[Any, Any]:
    """The same request as a program sends it and as a browser does."""
    headers = {**request.pop("headers", {}), "x-request-id": "same"}
    plain = client.request(method, path, headers=headers, **request)
    return plain, client.request(method, path, headers={**headers, **BROWSER}, **request)


def shown(page: Any) -> str:
    return unescape(page.text.split("<main")[1])


@pytest.mark.parametrize(("status", "method", "path", "request_"), ERRORS)
def test_a_browser_gets_the_facts_of_the_json_as_a_page(
    server: httpx2.Client, status: int, method: str, path: str, request_: dict[str, Any]
) -> None:
    plain, page = both(server, method, path, **request_)
    assert (plain.status_code, page.status_code) == (status, status)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers.get("allow") == plain.headers.get("allow")
    facts = plain.json()
    for fact in (facts["title"], facts["detail"], str(status), "same"):
        assert fact in shown(page)
    for error in facts["errors"]:
        assert f"<code>{error['field']}</code>: {error['message']}" in shown(page)


@pytest.mark.parametrize(
    "accept",
    [
        None, "", "*/*", "application/json", "application/problem+json", "text/csv", "application/json, text/html",
        "application/json, text/html;q=0.9", "text/html;q=0", "text/html;q=x", "*/*, text/html;q=0.5", "text/htmlx",
        ";;,,=", "\xff", "a/b," * 30 + "text/html",
    ],
)  # fmt: skip
def test_a_client_that_does_not_prefer_html_gets_the_json_to_the_byte(
    server: httpx2.Client, accept: str | None
) -> None:
    headers = {"x-request-id": "same"} | ({} if accept is None else {"accept": accept.encode("latin-1")})
    request = server.build_request("GET", "/nowhere", headers=headers)
    if accept is None:
        del request.headers["accept"]
    answer = server.send(request)
    assert answer.content == (
        b'{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no path /nowhere; /docs lists the '
        b'paths","errors":[],"request_id":"same","error":"There is no path /nowhere; /docs lists the paths",'
        b'"error_code":"NOT_FOUND","message":"There is no path /nowhere; /docs lists the paths"}'
    )
    names = ["content-length", "content-type", "x-request-id", "x-content-type-options", "vary"]
    assert [name for name in answer.headers if name not in ("date", "server")] == names


@pytest.mark.parametrize(("status", "method", "path", "request_"), ERRORS)
def test_a_cache_is_told_that_an_error_depends_on_accept(
    server: httpx2.Client, status: int, method: str, path: str, request_: dict[str, Any]
) -> None:
    for response in both(server, method, path, **request_):
        assert response.status_code == status
        assert response.headers.get_list("vary") == ["accept"]


@pytest.mark.parametrize("path", ["/", "/model", "/model/card", "/model/data-card"])
def test_a_cache_is_told_that_a_page_with_json_depends_on_accept(server: httpx2.Client, path: str) -> None:
    plain, page = both(server, "GET", path)
    assert plain.headers["content-type"] != page.headers["content-type"]
    assert plain.headers.get_list("vary") == page.headers.get_list("vary") == ["accept"]


def test_a_file_that_is_the_same_for_everybody_is_cached_once(server: httpx2.Client) -> None:
    plain, page = both(server, "GET", "/web/style.css")
    assert plain.status_code == page.status_code == 200
    assert "vary" not in {*plain.headers, *page.headers}


@pytest.mark.parametrize(
    "accept", ["text/html", "TEXT/HTML", "text/html;q=0.9,*/*;q=0.8", "image/png, text/html;q=0.1"]
)
def test_a_client_that_prefers_html_gets_the_page(server: httpx2.Client, accept: str) -> None:
    assert "<h1>Not Found</h1>" in server.get("/nowhere", headers={"accept": accept}).text


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("GET", f"/{SCRIPT}", {}),
        ("GET", "/%3Cscript%3Ealert(1)%3C%2Fscript%3E", {}),
        ("GET", "/%22%3E%3Cscript%3Ealert(1)%3C/script%3E", {}),
        ("POST", "/predict", {"json": {**REQUIRED, SCRIPT: 1}}),
        ("POST", "/answer", {"content": b"", "headers": {"content-type": SCRIPT}}),
        ("POST", "/answer", {"content": b"", "headers": {"content-encoding": SCRIPT, "content-type": FORM}}),
        ("POST", "/answer", {"content": b"", "headers": {"origin": f"http://{SCRIPT}"}}),
    ],
)
def test_what_comes_from_the_request_is_escaped(
    server: httpx2.Client, method: str, path: str, request_: dict[str, Any]
) -> None:
    headers = {**request_.pop("headers", {}), **BROWSER}
    page = server.request(method, path, headers=headers, **request_)
    assert page.status_code >= 400
    assert SCRIPT in shown(page)
    assert "<script>" not in page.text
    assert "default-src 'none'; style-src 'self'; script-src 'self';" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/a", "/a/", "/a/b/c", "/a%2Fb", "/a/%2e%2e%2f/b", "/%00%ff/%e2%80%ae"])
def test_the_page_finds_its_way_back_and_its_style_from_everywhere(server: httpx2.Client, path: str) -> None:
    page = server.get(f"{str(server.base_url).rstrip('/')}{path}", headers=BROWSER)
    assert page.status_code == 404
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(links) >= 7
    for link in links:
        address = urljoin(f"http://there/prefix{path}", link)
        assert address.startswith("http://there/prefix/"), link
        assert server.get(address.removeprefix("http://there/prefix"), headers=BROWSER).status_code == 200, link


def test_below_a_declared_root_path_links_begin_with_it(parcels: Parcels) -> None:
    client = TestClient(create_app(Settings(model_dir=parcels.store, root_path="/teams/parcels")))
    for path in ("/teams/parcels/a/b", "/a/b"):
        page = client.get(path, headers=BROWSER)
        links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        assert {link[:15] for link in links} == {"/teams/parcels/"}


def test_a_browser_that_has_no_key_gets_a_page_in_style(parcels: Parcels) -> None:
    client = TestClient(create_app(Settings(model_dir=parcels.store, api_keys=["3f9c2b7e51d84a06"])))
    page = client.get("/", headers=BROWSER)
    assert page.status_code == 401
    assert page.headers["www-authenticate"].startswith("Basic ")
    assert "<h1>Unauthorized</h1>" in page.text
    (style,) = re.findall(r'rel="stylesheet" href="([^"]+)"', page.text)
    assert client.get(f"/{style}").status_code == 200


@pytest.mark.parametrize("path", ["/answer", "/predict"])
def test_a_failure_of_the_server_is_a_page_without_its_reason(parcels: Parcels, path: str) -> None:
    """Also where FastAPI does not stand between."""
    app = create_app(Settings(model_dir=parcels.store))
    app.now.model.predictor.predict = None
    body: dict[str, Any] = {"data": REQUIRED} if path == "/answer" else {"json": REQUIRED}
    plain, page = both(TestClient(app), "POST", path, **body)
    assert (plain.status_code, page.status_code) == (500, 500)
    assert "Its log has the reason under this id" in shown(page)
    assert "NoneType" not in page.text


def test_an_answer_that_takes_too_long_is_a_page(parcels: Parcels) -> None:
    app = create_app(Settings(model_dir=parcels.store, timeout_seconds=0.2))
    asked = threading.Event()
    app.now.model.predictor.predict = lambda _: asked.wait(timeout=20)
    with TestClient(app) as client:
        page = client.post("/answer", data=REQUIRED, headers=BROWSER)
        asked.set()
    assert page.status_code == 504
    assert "within 0.2 s (TIMEOUT_SECONDS)" in shown(page)


def test_a_server_with_no_place_left_says_so_in_a_page(parcels: Parcels) -> None:
    with serving(parcels.store, MAX_IN_FLIGHT="1", TIMEOUT_SECONDS="60") as client:
        address = (client.base_url.host, client.base_url.port or 80)
        with socket.create_connection(address, timeout=10) as half:
            half.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n{")
            deadline = time.monotonic() + 30
            page = client.get("/model", headers=BROWSER)
            while page.status_code != 503 and time.monotonic() < deadline:
                page = client.get("/model", headers=BROWSER)
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert "as many as MAX_IN_FLIGHT allows; try again" in shown(page)


def test_head_of_an_error_has_the_headers_of_the_page_alone(server: httpx2.Client) -> None:
    head = server.head("/nowhere", headers=BROWSER)
    assert (head.status_code, head.content) == (404, b"")
    assert head.headers["content-type"] == "text/html; charset=utf-8"


def test_errors_before_a_request_is_whole_stay_json(server: httpx2.Client) -> None:
    """Nobody knows then what the client accepts."""
    with socket.create_connection((server.base_url.host, server.base_url.port or 80), timeout=10) as sock:
        sock.sendall(b"BREW / HTTP/1.1\r\naccept: text/html\r\n\r\n")
        said = b""
        while piece := sock.recv(4000):
            said += piece
    assert json.loads(said.partition(b"\r\n\r\n")[2])["status"] == 501


def test_a_path_of_many_folders_gets_the_short_answer(server: httpx2.Client) -> None:
    """Each link of a page climbs all folders: 32,000 of them made a page of 770 KB."""
    deep = server.get("/" + "a/" * 3000, headers={"accept": "text/html"})
    assert deep.status_code == 404
    assert deep.headers["content-type"] == "application/problem+json"
    assert len(deep.content) < 8000


def test_the_name_of_an_error_is_the_same_on_every_python(server: httpx2.Client) -> None:
    problem = server.post("/predict", json={"weight": -1}).json()
    assert (problem["title"], problem["error_code"]) == ("Unprocessable Content", "UNPROCESSABLE_CONTENT")

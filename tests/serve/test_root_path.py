"""Behind a proxy that puts a prefix before every path: its pages, docs and spec lead where the prefix is."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from tests.support.parcels import Parcels
from tests.support.server import serving

PREFIX = "/teams/flights"
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def prefixed(parcels: Parcels) -> Iterator[httpx2.Client]:
    with serving(parcels.store, ROOT_PATH=f"{PREFIX}/") as client:
        yield client


@pytest.fixture(params=["keeps", "strips"])
def proxied(request: pytest.FixtureRequest, prefixed: httpx2.Client) -> Iterator[httpx2.Client]:
    """What somebody outside reaches: the prefix and nothing else, whether the proxy takes it off or not."""

    def through_the_proxy(sent: httpx2.Request) -> None:
        path = sent.url.raw_path.decode()
        assert path.startswith(PREFIX), f"{path} does not come to this server"
        if request.param == "strips":
            sent.url = sent.url.copy_with(raw_path=(path.removeprefix(PREFIX) or "/").encode())

    with httpx2.Client(base_url=prefixed.base_url, event_hooks={"request": [through_the_proxy]}) as client:
        yield client


@pytest.mark.parametrize("page", ["", "/", "/model", "/model/card", "/answer", "/docs"])
def test_every_link_of_a_page_leads_somewhere(proxied: httpx2.Client, page: str) -> None:
    shown = proxied.get(f"{PREFIX}{page}", headers=HTML)
    assert shown.status_code == 200
    links = re.findall(r"""(?:href|src|action|url)[=:] ?["']([^"'#]+)["']""", shown.text)
    assert len(links) > 3
    for link in links:
        path = urlsplit(urljoin(f"http://there{PREFIX}{page}", link)).path
        assert proxied.get(path, headers=HTML).status_code == 200, link


def test_the_spec_names_the_prefix_and_what_it_says_works(proxied: httpx2.Client) -> None:
    spec = proxied.get(f"{PREFIX}/openapi.json").json()
    (server,) = spec["servers"]
    rows = spec["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    answered = proxied.post(f"{server['url']}/predict", json=rows["row 1"]["value"])
    assert 0 < answered.json()["probability"] < 1
    assert proxied.get(f"{PREFIX}/").json()["docs"] == f"{PREFIX}/docs"


def test_a_path_that_only_begins_like_the_prefix_is_another(prefixed: httpx2.Client) -> None:
    assert prefixed.get(f"{PREFIX}xyz/livez").status_code == 404


def test_without_a_declared_prefix_links_are_relative(server: httpx2.Client) -> None:
    """So that a page works below a prefix that nobody has told the server of."""
    links = re.findall(r'(?:href|src|action)="([^"#]+)"', server.get("/", headers=HTML).text)
    assert links
    assert [link for link in links if link.startswith("/")] == []
    assert "servers" not in json.loads(server.get("/openapi.json").text)

"""A browser in front of a proxy that puts a prefix before every path: the page, the docs and their "Try it out"."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx2
import pytest
from conftest import serving
from playwright.sync_api import Page, expect
from test_browser import browser as browser
from test_browser import visit as visit

PREFIX = "/teams/flights"


@contextmanager
def proxy(address: str, *, keeps: bool) -> Iterator[str]:
    """HOST:PORT of a proxy that passes on what is below the prefix, with it or without."""

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(502, "not below the prefix")
                return
            path = self.path if keeps else self.path.removeprefix(PREFIX)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            sent = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            answer = httpx2.request(self.command, f"http://{address}{path}", content=body, headers=sent)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in ("content-length", "content-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def do_GET(self) -> None:
            self.pass_on()

        def do_POST(self) -> None:
            self.pass_on()

        def log_message(self, *given: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps the prefix", "takes it off"])
def test_the_page_and_try_it_out_work_behind_a_proxy(parcels: Path, visit: Callable[..., Page], keeps: bool) -> None:
    with serving(parcels, ROOT_PATH=PREFIX) as address, proxy(address, keeps=keeps) as outside:
        page = visit(outside, f"{PREFIX}/")
        page.get_by_role("button", name="Try a real parcel").click()
        page.get_by_role("button", name="Predict").click()
        expect(page.locator(".headline")).to_be_visible()
        page.get_by_role("link", name="The model", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("the model")
        page.get_by_role("link", name="API").click()
        operation = page.locator(".opblock-post").filter(has=page.get_by_text("/predict", exact=True)).first
        operation.locator(".opblock-summary").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(operation.locator(".live-responses-table")).to_contain_text('"probability"')

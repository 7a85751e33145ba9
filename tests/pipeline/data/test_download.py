"""The file of a config from an address: a real server on this machine, a few bytes."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.config.config import load
from pipeline.data.download import fetch
from pipeline.errors import ConfigError, DataError
from pipeline.runtime.dataset import DataFile
from tests.support.command import Command
from tests.support.toy import TINY, Toy

CONTENT = b"plan,months\nbasic,3\n"
REDIRECTS = {
    "/here": "/file.csv",
    "/ftp": "ftp://localhost/file.csv",
    "/file": "file:///etc/passwd",
    "/elsewhere": "http://example.org/file.csv",
}
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """A server on a free port that keeps the paths it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Site)
        self.requests: list[str] = []


class Site(BaseHTTPRequestHandler):
    """Answers by path: the file, or a habit of real servers."""

    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        match self.path.partition("?")[0]:
            case "/file.csv":
                self.answer(200, CONTENT, {"Content-Length": str(len(CONTENT))})
            case "/unsized.csv":
                self.answer(200, CONTENT, {})
            case "/cut.csv":
                self.answer(200, CONTENT[:5], {"Content-Length": str(len(CONTENT))})
            case "/vast.csv":
                self.answer(200, b"", {"Content-Length": str(10**12)})
            case "/long.csv":
                self.answer(200, bytes(5_000_000), {})
            case path if path in REDIRECTS:
                self.answer(302, b"", {"Location": REDIRECTS[path]})
            case "/garbage":
                self.wfile.write(b"no HTTP at all\r\n\r\n")
            case _:
                self.answer(404, b"", {})

    def answer(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # who has read enough hangs up
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def site(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def file(url: str, folder: Path, *, sha256: str = SHA256, max_megabytes: float = 1) -> DataFile:
    return DataFile(path=str(folder / "data/t.csv"), url=url, sha256=sha256, max_megabytes=max_megabytes)


def silent(_: str) -> None:
    """Report no progress."""


def files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "data").rglob("*")]


@pytest.mark.parametrize("path", ["/file.csv", "/unsized.csv", "/here"])
def test_a_file_that_is_not_there_is_downloaded(site: str, tmp_path: Path, path: str) -> None:
    """With a declared length or without, and through a redirect of the same scheme."""
    progress: list[str] = []
    fetch(file(f"{site}{path}", tmp_path), progress.append)
    assert (tmp_path / "data/t.csv").read_bytes() == CONTENT
    assert files(tmp_path) == ["t.csv"]
    assert progress == ["0.0 MB of t.csv downloaded"]


def test_a_file_that_is_there_is_not_asked_for_again(server: Server, site: str, tmp_path: Path) -> None:
    wanted = file(f"{site}/file.csv", tmp_path)
    fetch(wanted, silent)
    fetch(wanted, silent)
    assert server.requests == ["/file.csv"]


def test_the_file_may_be_read_by_whom_the_umask_lets(site: str, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    fetch(file(f"{site}/file.csv", tmp_path), silent)
    assert (tmp_path / "data/t.csv").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("url", ["https://example.org/t.csv", None])
def test_a_file_that_has_changed_is_an_error_and_stays(tmp_path: Path, url: str | None) -> None:
    (tmp_path / "t.csv").write_bytes(b"changed")
    changed = hashlib.sha256(b"changed").hexdigest()
    with pytest.raises(DataError, match=rf"t.csv: has changed: data.sha256 is {SHA256}, its SHA-256 is {changed}"):
        fetch(DataFile(path=str(tmp_path / "t.csv"), url=url, sha256=SHA256), silent)
    assert (tmp_path / "t.csv").read_bytes() == b"changed"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/none.csv", r"/none.csv: answers 404, no file. Correct it"),
        ("/ftp", "answers 302, a redirect that is not followed"),
        ("/file", "answers 302, a redirect that is not followed"),
        ("/elsewhere", "answers 302, a redirect that is not followed"),
        ("/cut.csv", "the connection ended after 5 of 20 bytes. Try again"),
        ("/vast.csv", "is larger than data.max_megabytes 1 allows"),
        ("/garbage", "cannot be read: .*Check the address"),
    ],
)
def test_an_address_without_the_file_leaves_nothing(site: str, tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fetch(file(f"{site}{path}", tmp_path), silent)
    assert files(tmp_path) == []


def test_another_file_leaves_nothing_and_both_hashes_are_shown(site: str, tmp_path: Path) -> None:
    expected = "0" * 64
    with pytest.raises(DataError, match=f"data.sha256 is {expected}, and its SHA-256 is {SHA256}"):
        fetch(file(f"{site}/file.csv", tmp_path, sha256=expected), silent)
    assert files(tmp_path) == []


def test_a_file_without_a_declared_length_is_read_within_the_bound(site: str, tmp_path: Path) -> None:
    progress: list[str] = []
    with pytest.raises(DataError, match="is larger than data.max_megabytes 1 allows"):
        fetch(file(f"{site}/long.csv", tmp_path), progress.append)
    assert progress == ["1.0 MB of t.csv downloaded"]
    assert files(tmp_path) == []


@pytest.mark.parametrize("host", ["localhost:1", "localhost:99999", f"localhost:{10**30}", "two..dots"])
def test_an_address_where_nobody_answers_is_one_sentence(tmp_path: Path, host: str) -> None:
    with pytest.raises(DataError, match="cannot be read: .*Check the address and the network, try again"):
        fetch(file(f"{'http' if ':' in host else 'https'}://{host}/t.csv", tmp_path), silent)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/t.csv",
        "file:///etc/passwd",
        "ftp://example.org/t.csv",
        "https://me:secret@example.org/t.csv",
        "http://localhost:80@example.org/secret",
        "https://example.org",
        "https://example.org/a b?secret",
        "https://exämple.org/t.csv?secret",
    ],
)
def test_other_addresses_are_refused_and_not_printed(tmp_path: Path, url: str) -> None:
    (tmp_path / "tiny.yaml").write_text(f"{TINY}data: {{path: t.csv, url: '{url}', sha256: {SHA256}}}")
    with pytest.raises(ConfigError, match="data.url: should be https://HOST/PATH without a password") as refused:
        load(tmp_path / "tiny.yaml")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("rest", [f"sha256: {SHA256}", "path: t.csv"])
def test_an_address_needs_a_path_and_a_hash(tmp_path: Path, rest: str) -> None:
    (tmp_path / "tiny.yaml").write_text(f"{TINY}data: {{url: 'https://example.org/t.csv', {rest}}}")
    with pytest.raises(ConfigError, match="data.url: should be .* beside `path`, where the file is kept, and `sha256`"):
        load(tmp_path / "tiny.yaml")


def test_a_key_in_the_query_is_sent_and_never_shown(server: Server, site: str, tmp_path: Path) -> None:
    wanted = file(f"{site}/none.csv?key=secret", tmp_path)
    with pytest.raises(DataError) as refused:
        fetch(wanted, silent)
    assert server.requests == ["/none.csv?key=secret"]
    assert "secret" not in f"{refused.value}{wanted.model_dump_json()}"


def test_a_training_downloads_its_data(site: str, toy: Toy, command: Command) -> None:
    """Without the file it ends as it does for other faults of the data."""
    overrides = [f"data.path={toy.folder}/new/t.csv", f"data.url={site}/none.csv", f"data.sha256={SHA256}"]
    words = [f"--set={text}" for text in [*overrides, f"paths.models={toy.folder}/m", f"paths.reports={toy.folder}/r"]]
    ended = command("train", str(toy.folder / "toy.yaml"), *words, f"--set=paths.tracking=sqlite:///{toy.folder}/m.db")
    assert ended.code == 3
    assert f"error: data.url: {site}/none.csv: answers 404" in ended.stderr

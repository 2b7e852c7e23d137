"""The download against a server on this machine: resumed, checked, cached, clear about what went wrong."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.warehouse import batches
from warehouse.errors import MatineeError, Unreachable
from warehouse.sources import download
from warehouse.sources import source as sources

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """Serves CONTENT, and notes which range was asked for."""

    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    cut_after: int | None = None  # bytes after which the connection breaks
    knows_ranges: bool = True
    status: int = 200


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
            if state.status != 200:
                self.send_error(state.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.knows_ranges else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            body = CONTENT[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.end_headers()
            self.wfile.write(body[: state.cut_after])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/ml-1m.zip"
        threading.Thread(target=http.serve_forever, args=[0.01], daemon=True).start()
        yield state
        http.shutdown()


def test_downloads_once(server: Server, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    for _ in range(2):
        path = download.movielens_1m(server.url, MD5, tmp_path, lambda *step: steps.append(step))
        assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert [there for there, _ in steps] == sorted(there for there, _ in steps)
    assert not list(tmp_path.glob("*.part"))


def test_resumes_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.cut_after = 300_000
    with pytest.raises(Unreachable, match="300,000 bytes are kept"):
        download.movielens_1m(server.url, MD5, tmp_path)
    server.cut_after = None
    assert download.movielens_1m(server.url, MD5, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_starts_over_with_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip.part").write_bytes(b"x" * 1000)
    server.knows_ranges = False
    assert download.movielens_1m(server.url, MD5, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_complete_needs_only_its_name(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip.part").write_bytes(CONTENT)
    assert download.movielens_1m(server.url, MD5, tmp_path).read_bytes() == CONTENT


def test_what_has_another_checksum_is_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="md5") as error:
        download.movielens_1m(server.url, "0" * 32, tmp_path)
    assert not isinstance(error.value, Unreachable)
    assert not list(tmp_path.glob("*.zip*"))


def test_a_damaged_copy_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(CONTENT[:-1])
    assert download.movielens_1m(server.url, MD5, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 503])
def test_refusals_of_the_server_are_one_line(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(Unreachable, match=str(status)) as error:
        download.movielens_1m(server.url, MD5, tmp_path)
    assert "\n" not in str(error.value)


def test_without_a_network_it_says_what_to_do(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))
    nobody = "http://127.0.0.1:1/ml-1m.zip"
    with pytest.raises(Unreachable) as error:
        download.movielens_1m(nobody, MD5)
    for part in (nobody, "MATINEE_SOURCE", "synthetic"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    # With a copy in the cache no network is needed.
    download.movielens_1m(server.url, MD5)
    assert download.movielens_1m(nobody, MD5).parent == tmp_path / "cache"


def test_a_cache_that_cannot_be_written_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MatineeError, match="MATINEE_CACHE"):
        download.movielens_1m(server.url, MD5, tmp_path / "file" / "cache")


def test_ml_1m_by_name_is_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = batches.dat(tmp_path / "ml-1m", [(7, 1, 5, 100)])
    archive = Path(batches.zipped(tmp_path / "ml-1m.zip", folder, "ml-1m"))
    monkeypatch.setattr(download, "movielens_1m", lambda: archive)
    source = sources.resolve("ml-1m")
    assert (source.text, source.dataset) == ("ml-1m", "ml-1m")
    assert source.digests == sources.resolve(folder).digests

"""The download against a server on this machine: checked, cached, clear about what went wrong."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
    """Serves CONTENT, and counts how often."""

    url: str = ""
    requests: int = 0
    cut_after: int | None = None  # bytes after which the connection breaks
    says_length: bool = True
    status: int = 200


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests += 1
            if state.status != 200:
                self.send_error(state.status)
                return
            self.send_response(200)
            if state.says_length:
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: state.cut_after])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/ml-1m.zip"
        threading.Thread(target=http.serve_forever, args=[0.01], daemon=True).start()
        yield state
        http.shutdown()


def fetch(server: Server, folder: Path, md5: str = MD5) -> Path:
    return download.movielens_1m(folder, server.url, md5)


def downloaded(folder: Path) -> list[str]:
    """Names of the files in the cache, but for the lock."""
    return [file.name for file in folder.iterdir() if file.suffix != ".lock"]


@pytest.mark.parametrize("says_length", [True, False])
def test_downloads_once(server: Server, tmp_path: Path, says_length: bool) -> None:
    server.says_length = says_length
    for _ in range(2):
        assert fetch(server, tmp_path / "cache").read_bytes() == CONTENT
    assert server.requests == 1
    assert downloaded(tmp_path / "cache") == ["ml-1m.zip"]


def test_its_progress_is_in_the_log(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        fetch(server, tmp_path)
    lines = [record.getMessage() for record in caplog.records if record.name == "matinee"]
    assert lines == sorted(set(lines))
    assert 2 < len(lines) <= 6
    assert lines[-1] == "ml-1m: 1.0 of 1.0 MB"
    assert capfd.readouterr().err == ""  # nothing beside the log


def test_two_at_once_download_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(server, tmp_path), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.requests == 1


@pytest.mark.parametrize("says_length", [True, False])
def test_what_broke_off_is_never_taken_for_whole(server: Server, tmp_path: Path, says_length: bool) -> None:
    server.cut_after, server.says_length = 300_000, says_length
    with pytest.raises(Unreachable if says_length else MatineeError) as error:
        fetch(server, tmp_path)
    assert "\n" not in str(error.value)
    assert downloaded(tmp_path) == []
    server.cut_after = None
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_what_has_another_checksum_is_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="md5") as error:
        fetch(server, tmp_path, "0" * 32)
    assert not isinstance(error.value, Unreachable)
    assert downloaded(tmp_path) == []


def test_a_damaged_copy_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(CONTENT[:-1])
    assert fetch(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 503])
def test_refusals_of_the_server_are_one_line(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(Unreachable, match=str(status)) as error:
        fetch(server, tmp_path)
    assert "\n" not in str(error.value)


def test_without_a_network_it_says_what_to_do(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))
    nobody = "http://127.0.0.1:1/ml-1m.zip"
    with pytest.raises(Unreachable) as error:
        download.movielens_1m(url=nobody, md5=MD5)
    for part in (nobody, "MATINEE_SOURCE", "synthetic"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    # With a copy in the cache no network is needed.
    download.movielens_1m(url=server.url, md5=MD5)
    assert download.movielens_1m(url=nobody, md5=MD5).parent == tmp_path / "cache"


def test_a_cache_that_cannot_be_written_is_reported(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MatineeError, match="MATINEE_CACHE"):
        fetch(server, tmp_path / "file" / "cache")


def test_ml_1m_by_name_is_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = batches.dat(tmp_path / "ml-1m", [(7, 1, 5, 100)])
    archive = Path(batches.zipped(tmp_path / "ml-1m.zip", folder, "ml-1m"))
    monkeypatch.setattr(download, "movielens_1m", lambda: archive)
    source = sources.resolve("ml-1m")
    assert (source.text, source.dataset) == ("ml-1m", "ml-1m")
    assert source.digests == sources.resolve(folder).digests

"""The local server: what goes wrong is one clear line, and everything that was started is stopped."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

FAKE_PREFECT = f"""#!{sys.executable}
import http.server, pathlib, sys
words = sys.argv[1:]
with (pathlib.Path(__file__).parent / "calls").open("a") as calls:
    print(*words, file=calls)

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

if "server" in words:
    http.server.HTTPServer(("127.0.0.1", int(words[-1])), Healthy).serve_forever()
if "deploy" in words:
    sys.exit("Traceback:\\nValueError: no such entrypoint\\nAn exception occurred.\\n")
"""
"""Starts a server that is healthy, and fails to deploy."""


class Healthy(http.server.BaseHTTPRequestHandler):
    """Answers everything with 200, as some other Prefect server would."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody serves."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield str(other.server_address[1])
        other.shutdown()


def serve(port: str, home: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "flows.command.serve"],
        env={
            **os.environ,
            "MATINEE_PORT": port,
            "MATINEE_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_taken_port_is_one_clear_line(taken: str, tmp_path: Path) -> None:
    done = serve(taken, tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"matinee: something already serves http://127.0.0.1:{taken}: "
        "stop it, or set MATINEE_PORT to a free port\n"
    )


def test_a_port_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    done = serve("many", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("matinee: MATINEE_PORT='many'")
    assert done.stderr.count("\n") == 1


def test_what_prefect_refuses_is_one_line_and_the_server_is_stopped(tmp_path: Path) -> None:
    python, fake = tmp_path / "python", tmp_path / "prefect"
    python.symlink_to(sys.executable)
    fake.write_text(FAKE_PREFECT)
    fake.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    done = serve(port, tmp_path, str(python))
    log = tmp_path / "serve.log"
    assert done.returncode == 1
    assert done.stderr == (
        "matinee: `prefect deploy --all` failed: ValueError: no such entrypoint "
        f"(all of it: the end of {log})\n"
    )
    assert "Traceback" in log.read_text()
    calls = (tmp_path / "calls").read_text()
    assert "work-pool create matinee" in calls
    assert "worker start" not in calls
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0

"""The local server: says so when its port is taken, and stops whole."""

import http.server
import os
import subprocess
import sys
import threading


class Healthy(http.server.BaseHTTPRequestHandler):
    """Answers everything with 200, as some other Prefect server would."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_a_taken_port_is_one_clear_line() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        port = str(other.server_address[1])
        done = subprocess.run(
            [sys.executable, "-m", "flows.command.serve"],
            env={**os.environ, "MATINEE_PORT": port},
            capture_output=True,
            text=True,
        )
        other.shutdown()
    assert done.returncode == 1
    assert f"already serves http://127.0.0.1:{port}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

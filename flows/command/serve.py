"""Prefect's server, a worker and the scheduled deployments, in the foreground: ``make serve``."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import httpx

from flows.command.screen import out
from flows.nightly import PUBLISHING
from tasks import settings

HOST = "127.0.0.1"
PORT = int(os.environ.get("MATINEE_PORT") or 4200)
URL = f"http://{HOST}:{PORT}"
POOL = "matinee"
START_SECONDS = 120
STOP_SECONDS = 20


def main() -> None:
    """Start all, wait for Ctrl-C or a termination signal, stop all; exits with 1 if a part dies."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    os.environ |= {
        "PREFECT_API_URL": f"{URL}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    if _answers():
        sys.exit(f"matinee: something already serves {URL}: stop it, or set MATINEE_PORT to a free port")
    parts: list[subprocess.Popen[bytes]] = []
    log_file = settings.home() / "serve.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log = log_file.open("ab")
    try:
        parts.append(_start(log, "server", "start", "--host", HOST, "--port", str(PORT)))
        _wait_until_up(parts[0], stop)
        if not stop.is_set():
            _register()
            parts.append(_start(log, "worker", "start", "--pool", POOL, "--name", POOL))
            out.print(f"\n[bold]Prefect's UI: {URL}[/]   Ctrl-C stops the server and the worker")
            out.print(f"Runs by hand show there too after: export PREFECT_API_URL={URL}/api", soft_wrap=True)
            out.print(f"[dim]What the server and the worker say: {log_file}[/]", soft_wrap=True)
        died = _wait(parts, stop)
    finally:
        _stop(parts)
    sys.exit(f"matinee: {died} stopped by itself: see the end of {log_file}" if died else 0)


def _prefect(*words: str) -> list[str]:
    return [str(Path(sys.executable).parent / "prefect"), "--no-prompt", *words]


def _start(log: IO[bytes], *words: str) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches us alone, and we stop the parts in order.
    return subprocess.Popen(_prefect(*words), start_new_session=True, stdout=log, stderr=log)


def _answers() -> bool:
    try:
        return httpx.get(f"{URL}/api/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _wait_until_up(server: subprocess.Popen[bytes], stop: threading.Event) -> None:
    end = time.monotonic() + START_SECONDS
    with out.status("Starting Prefect's server"):
        while not _answers() and not stop.is_set():
            if server.poll() is not None or time.monotonic() > end:
                sys.exit(f"matinee: Prefect's server did not start on {URL}: is the port free?")
            stop.wait(0.5)


def _register() -> None:
    """The work pool, the publication limit and the deployments of prefect.yaml; safe to repeat."""
    with out.status("Registering the schedules"):
        _run("work-pool", "create", POOL, "--type", "process", "--overwrite")
        known = subprocess.run(_prefect("gcl", "inspect", PUBLISHING), capture_output=True).returncode == 0
        if not known:
            _run("gcl", "create", PUBLISHING, "--limit", "1")
        _run("deploy", "--all")


def _run(*words: str) -> None:
    done = subprocess.run(_prefect(*words), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"matinee: `prefect {' '.join(words)}` failed: {(done.stderr or done.stdout).strip()}")


def _wait(parts: list[subprocess.Popen[bytes]], stop: threading.Event) -> str | None:
    while not stop.wait(0.5):
        for part, name in zip(parts, ("the server", "the worker"), strict=False):
            if part.poll() is not None:
                return name
    return None


def _stop(parts: list[subprocess.Popen[bytes]]) -> None:
    """The worker first, so that it can tell the server."""
    for part in reversed(parts):
        part.send_signal(signal.SIGINT)
        try:
            part.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(part.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()

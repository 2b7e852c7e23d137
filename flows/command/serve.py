"""Prefect's server, a worker and the scheduled deployments, in the foreground: ``make serve``."""

import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, NoReturn

import httpx

from flows.command.deploy import POOL, prefect, register
from flows.command.screens.terminal import out
from tasks import settings
from tasks.errors import MatineeError

START_SECONDS = 300
STOP_SECONDS = 20

Log = IO[bytes]
Parts = dict[str, subprocess.Popen[bytes]]
"""The running processes by what people call them, in the order of their start."""


def main() -> None:
    """Start all, wait for Ctrl-C or a termination signal, stop all; exits with 1 if a part dies."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        environment = settings.environment()
    except MatineeError as error:
        _fail(str(error))
    url = f"http://{environment.host}:{environment.port}"
    os.environ |= {
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    if _answers(url):
        _fail(f"something already serves {url}: stop it, or set MATINEE_PORT to a free port")
    file = settings.home() / "serve.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    parts: Parts = {}
    with file.open("ab") as log:
        try:
            _start_all(parts, url, log, stop)
            died = _wait(parts, stop)
        finally:
            _stop(parts)
    if died:
        _fail(f"{died} stopped by itself: see the end of {file}")


def _start_all(parts: Parts, url: str, log: Log, stop: threading.Event) -> None:
    host, _, port = url.removeprefix("http://").rpartition(":")
    parts["the server"] = _start(log, "server", "start", "--host", host, "--port", port)
    _wait_until_up(parts["the server"], url, stop)
    if stop.is_set():
        return
    try:
        with out.status("Registering deployments and alarms"):
            register(log)
    except MatineeError as error:
        _fail(str(error))
    parts["the worker"] = _start(log, "worker", "start", "--pool", POOL, "--name", POOL)
    out.print(f"\n[bold]Prefect's UI: {url}[/]   Ctrl-C stops the server and the worker")
    out.print(f"Runs by hand show there too after: export PREFECT_API_URL={url}/api", soft_wrap=True)
    out.print(f"The lines of the server and the worker: {log.name}", style="dim", soft_wrap=True)


def _start(log: Log, *words: str) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches us alone, and we stop the parts in order.
    return subprocess.Popen(prefect(*words), start_new_session=True, stdout=log, stderr=log)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _wait_until_up(server: subprocess.Popen[bytes], url: str, stop: threading.Event) -> None:
    end = time.monotonic() + START_SECONDS
    with out.status("Starting Prefect's server"):
        while not _answers(url) and not stop.is_set():
            if server.poll() is not None or time.monotonic() > end:
                _fail(f"Prefect's server did not start on {url}: is the port free?")
            stop.wait(0.5)


def _wait(parts: Parts, stop: threading.Event) -> str | None:
    """The part that stopped by itself; None once all are to stop."""
    while not stop.wait(0.5):
        for name, part in parts.items():
            if part.poll() is not None:
                return name
    return None


def _stop(parts: Parts) -> None:
    """The worker first, so that it can tell the server."""
    for part in reversed(parts.values()):
        part.send_signal(signal.SIGINT)
        try:
            part.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(part.pid, signal.SIGKILL)


def _fail(message: str) -> NoReturn:
    sys.exit(f"matinee: {message}")


if __name__ == "__main__":
    main()

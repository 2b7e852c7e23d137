"""A Prefect server that the flows of a benchmark share."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def server(home: Path) -> Iterator[str]:
    """The address of a server's API, in the environment too; one is started if the environment names none.

    Once it has ended the environment is as it was.
    What others do with Prefect on this machine, and what killed runs leave behind there, then has no effect.
    ``home`` is the folder of its database. Nothing of Prefect may be imported before.
    """
    if "PREFECT_API_URL" in os.environ:
        yield os.environ["PREFECT_API_URL"]
        return
    before = dict(os.environ)
    os.environ |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    port = _free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        api = f"http://127.0.0.1:{port}/api"
        _wait(api)
        os.environ["PREFECT_API_URL"] = api
        yield api
    finally:
        process.terminate()
        process.wait()
        for name in ("PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_API_URL"):
            os.environ.pop(name, None)
        os.environ |= before


def _wait(api: str) -> None:
    for _ in range(240):
        try:
            if httpx.get(f"{api}/health", timeout=1).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    sys.exit("the Prefect server did not start")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port

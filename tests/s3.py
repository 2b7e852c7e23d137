"""An object store on this machine, for homes of tests."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

# One thread: a conditional write looks and writes in one piece, as on a real store.
SERVER = """
import sys
from werkzeug.serving import make_server
from moto.server import DomainDispatcherApplication, create_backend_app
make_server("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app)).serve_forever()
"""


@contextmanager
def served() -> Iterator[str]:
    """The URL of a store that starts empty."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def use(patch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Let this process, and those it starts, use a store."""
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def new_home() -> str:
    """The URL of a home in a bucket of its own."""
    from s3fs import S3FileSystem

    bucket = f"test-{uuid4().hex[:8]}"
    S3FileSystem(skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}/films"

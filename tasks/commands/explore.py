"""The published tables in a browser: a notebook that reads them, served on this machine alone."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tasks import settings
from warehouse.errors import MatineeError
from warehouse.releases import serving

NOTEBOOK = Path(serving.__file__).parents[1] / "explore.py"


def explore(port: int) -> int:
    """Serve the notebook until it is stopped; the exit code.

    Raises:
        MatineeError: marimo is not installed, or nothing is published.
    """
    if find_spec("marimo") is None:
        raise MatineeError(
            "the notebook needs marimo, which is not installed: python3 -m pip install 'matinee[explore]'"
        )
    file = serving.current_file(settings.home()).absolute()
    serve = [sys.executable, "-m", "marimo", "run", str(NOTEBOOK), "--no-token"]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    # It reads tables: no questions about a newer version of itself.
    environment = os.environ | {"MARIMO_SKIP_UPDATE_CHECK": "1"}
    return subprocess.run([*serve, *address, "--", "--file", str(file)], env=environment).returncode

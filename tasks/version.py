"""The version of the code that runs."""

import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The folder that the running code was imported from."""


def code_version() -> str:
    """The version of the package, with the commit where the code is a git checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return version("matinee")
    return f"{version('matinee')}+{commit}"

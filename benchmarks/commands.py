"""The command ``matinee`` as benchmarks run it: measured in a process of its own, else in this one."""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from flows.command import compute

MATINEE = str(Path(sys.executable).with_name("matinee"))
"""The command of the environment that the benchmark runs in."""


def nightly(settings: list[str], **options: Any) -> None:
    """Run the nightly flow in this process, without its answer on stdout."""
    with redirect_stdout(StringIO()):
        compute.nightly(settings=settings, **options)


def hourly(as_of: str) -> None:
    """Run the hourly flow in this process, without its answer on stdout."""
    with redirect_stdout(StringIO()):
        compute.hourly(as_of=as_of)


def set_options(settings: list[str]) -> list[str]:
    """The settings of a benchmark's ``--set`` as options of the command."""
    return [word for item in settings for word in ("--set", item)]

"""The command ``matinee`` as benchmarks run it, in a process of its own."""

import sys
from pathlib import Path

MATINEE = str(Path(sys.executable).with_name("matinee"))
"""The command of the environment that the benchmark runs in."""


def set_options(settings: list[str]) -> list[str]:
    """The settings of a benchmark's ``--set`` as options of the command."""
    return [word for item in settings for word in ("--set", item)]

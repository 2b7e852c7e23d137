"""Answers for programs."""

import json
import os
import sys
from datetime import datetime
from typing import IO, Any


def print_json(answer: Any) -> None:
    """Print an answer as JSON, times and paths as text."""
    try:
        print(json.dumps(answer, indent=2, default=_text), flush=True)
    except BrokenPipeError:
        print_no_more(sys.stdout)


def print_no_more(file: IO[str]) -> None:
    """Let what is still printed vanish: who reads has seen enough, which is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

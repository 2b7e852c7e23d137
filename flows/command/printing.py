"""Answers for programs."""

import json
from typing import Any


def print_json(answer: Any) -> None:
    """Print an answer as JSON, times and paths as text."""
    print(json.dumps(answer, indent=2, default=str))

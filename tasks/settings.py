"""The environment an operator may set; everything else is an argument."""

import os
from pathlib import Path

KEEP_RELEASES = 10
"""Releases kept for rollback, when MATINEE_KEEP_RELEASES says nothing."""


def home() -> Path:
    """Where all data lives: MATINEE_HOME, by default ./data."""
    return Path(os.environ.get("MATINEE_HOME") or "data").absolute()


def source() -> str | None:
    """MATINEE_SOURCE: a folder, a zip, `ml-1m` or `synthetic[:scale]`; None lets the log speak."""
    return os.environ.get("MATINEE_SOURCE") or None


def keep_releases() -> int:
    """How many releases to keep, at least 1: MATINEE_KEEP_RELEASES."""
    return max(1, int(os.environ.get("MATINEE_KEEP_RELEASES") or KEEP_RELEASES))

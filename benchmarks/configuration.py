"""The configuration that a benchmark goes by: matinee.toml and ``--set``, as with every command."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from models.config import overlaid
from tasks import config
from tasks.config import Configuration
from warehouse.errors import MatineeError


def add_set(parser: argparse.ArgumentParser) -> None:
    """Give a parser the option ``--set KEY=VALUE``, which may be repeated."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, e.g. rank.ranker=din; may be repeated (all settings: matinee config)",
    )


def load(settings: list[str], base: Mapping[str, Any] | None = None) -> Configuration:
    """The configuration with the settings of ``--set``, which win over those of the benchmark, ``base``."""
    try:
        return config.load(overlaid(base or {}, config.parse_set(settings)))
    except MatineeError as error:
        sys.exit(str(error))

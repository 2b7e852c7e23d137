"""User and item features as of the run."""

import hashlib
import tomllib
from importlib.resources import files
from typing import Any

from models.features.declare import declarations
from tasks import data
from tasks.step import step
from warehouse.runs import snapshot
from warehouse.runs.run import Run

FEATURES: dict[str, list[dict[str, Any]]] = tomllib.loads((files("tasks") / "features.toml").read_text())
"""Every feature's declaration, by whose feature it is."""

READ = declarations(FEATURES)
"""Those that models read."""

READ_DIGEST = hashlib.sha256(repr(READ).encode()).hexdigest()[:16]
"""Changes with any of them."""


@step(
    "features",
    reads=["events", "catalog"],
    writes=["users", "items", "user_features", "item_features"],
)
def build_features(run: Run) -> dict[str, int]:
    """Write the run's users, items and their features, point in time: only ratings before ``as_of``."""
    rows = snapshot.write_tables(run, FEATURES)
    data.write_labels(run)
    return rows

"""User and item features as of the run, and its log as arrays."""

from tasks import config as configuration
from tasks import data, declarations
from tasks.cost import RowCounts
from tasks.step import step
from warehouse.runs import feature_tables
from warehouse.runs.run import Run


@step(
    "features",
    reads=["events", "catalog"],
    writes=["users", "items", "user_features", "item_features", "log", "log_orders", "holdout/split"],
)
def build_features(run: Run) -> RowCounts:
    """Write the run's users, items and their features, point in time: only ratings before ``as_of``."""
    rows = feature_tables.write(run, declarations.write(run, configuration.of(run).features))
    data.write_log(run)
    loaded = data.load(run)
    data.write_orders(loaded)
    if run.kind == "full":
        data.write_holdout(loaded)
    return rows

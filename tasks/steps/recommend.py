"""The lists of all users, cut into shards of users."""

import logging
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks import data as run_data
from tasks import engine
from tasks.cost import RowCounts
from tasks.shards import recommend as shard
from tasks.step import step
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")

NAME = "recommend"
"""The step, and the folder of its shards' reports."""


@step(
    NAME,
    reads=["events", "models", "merge_weights", "newcomers"],
    writes=["recommended", "user_embeddings", "pools"],
)
def recommend(run: Run) -> RowCounts:
    """Recall, merge, rank and explain for every target user, a shard of users at a time."""
    n_shards = len(engine.shards(run, len(run_data.load(run).target_users)))
    rows = engine.spread(shard.recommend_shard, NAME, run, n_shards, Progress(n_shards))
    shard.forget()
    return rows


class Progress:
    """Shows in the terminal and in Prefect's UI how many shards are done; of a single one nothing."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.artifact = (
            create_progress_artifact(0.0, key=NAME, description="Lists of users, by shards")
            if total > 1
            else None
        )

    def __call__(self, done: int) -> None:
        if isinstance(self.artifact, UUID):
            logger.info("%-22s %d of %d shards", NAME, done, self.total)
            update_progress_artifact(self.artifact, 100.0 * done / self.total)

"""The films that users asked not to see, by the indices of a run."""

from tasks.cost import RowCounts
from tasks.shards.recommend import BLOCKED
from tasks.step import step
from warehouse.runs import block_list, files
from warehouse.runs.run import Run


@step("read block list", reads=["block_list"], writes=["blocked"])
def read_block_list(run: Run) -> RowCounts:
    """Write down the films that each user asked not to see."""
    requested = block_list.read(run)
    files.write_columns(run, BLOCKED, {name: requested[name].to_numpy() for name in requested.columns})
    return {"blocked": requested.height}

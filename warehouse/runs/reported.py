"""Reports beside the ratings: whom those concern that a run sees and an earlier one did not."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warehouse import sql
from warehouse.runs.run import Run
from warehouse.runs.snapshot import is_backdated


def until(run: Run) -> datetime:
    """The moment before which requests count for a run.

    ``as_of`` is just after the newest rating unless somebody chose an earlier one: a run of now heeds what
    was asked since that rating.
    """
    return run.as_of if is_backdated(run) else datetime.max


def users_new_to(run: Run, parent: Run, query: str, paths: Callable[[Run], list[str]]) -> NDArray[np.int64]:
    """Ids of users by a query of ``run/``: in files that the parent did not read, or later than it.

    ``paths`` gives the files of the log that a run sees.
    """
    files = paths(run)
    if not files:
        return np.empty(0, dtype=np.int64)
    spill: Path = parent.file(f".{run.id}-{query}")  # the run may have no folder of its own yet
    with sql.bounded(spill) as con:
        sql.set_variables(
            con,
            files=files,
            seen_files=paths(parent),
            as_of=run.as_of,
            seen_before=parent.as_of,
            until=until(run),
            seen_until=until(parent),
        )
        users: NDArray[np.int64] = con.execute(sql.load(f"run/{query}")).fetchnumpy()["user_id"]
    return users

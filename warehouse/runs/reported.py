"""Reports beside the ratings: whom those concern that a run sees and an earlier one did not."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warehouse import sql
from warehouse.runs.run import Run


def users_new_to(
    run: Run, parent: Run, query: str, paths: Callable[[Run], list[str]], until: Callable[[Run], datetime]
) -> NDArray[np.int64]:
    """Ids of users by a query of ``run/``: in files that the parent did not read, or later than it.

    ``paths`` gives the files of the log that a run sees, ``until`` the moment before which it sees them.
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
            until=until(run),
            seen_until=until(parent),
        )
        users: NDArray[np.int64] = con.execute(sql.load(f"run/{query}")).fetchnumpy()["user_id"]
    return users

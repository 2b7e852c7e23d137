"""The way back from a published release whose file is damaged, before anything else is done."""

import logging
from pathlib import Path

from prefect.events import emit_event

from warehouse.releases.rollback import recover

logger = logging.getLogger("matinee")

DAMAGED = "matinee.release.damaged"
"""The event of Prefect that rings when a damaged release was gone back from."""


def go_back_if_damaged(home: Path) -> None:
    """Compare the published file with its checksum: if it is damaged, publish the one before again, and ring.

    Where none is whole, nothing happens: whoever reads the file says so.
    """
    if (line := recover(home)) is not None:
        line = f"{line}; `matinee doctor --repair` sets the damaged file aside"
        logger.warning(line)
        emit_event(DAMAGED, {"prefect.resource.id": "matinee.published"}, payload={"message": line})

"""The lock under which what is published changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from warehouse.atomic import sweep

FILE = ".publish.lock"


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Held while anything is published, rolled back or removed: by one process at a time."""
    folder = home / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / FILE):
        sweep(folder)  # what a killed publication left half-built
        yield

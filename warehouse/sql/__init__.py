"""All SQL of the project, one statement or one short script a file."""

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """The text of ``warehouse/sql/NAME.sql``."""
    return (files("warehouse.sql") / f"{name}.sql").read_text(encoding="utf-8")


@cache
def names(folder: str) -> tuple[str, ...]:
    """The names of all files in a folder of SQL, sorted, ready for ``load``."""
    found = (file.name for file in (files("warehouse.sql") / folder).iterdir())
    return tuple(sorted(f"{folder}/{name.removesuffix('.sql')}" for name in found if name.endswith(".sql")))

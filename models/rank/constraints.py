"""Types of settings that several rankers share."""

from typing import Annotated

from pydantic import Field, PositiveInt

Units = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
"""Units of each of some layers, at least one."""

Folds = Annotated[int, Field(ge=2)]
"""Parts that users are dealt into."""

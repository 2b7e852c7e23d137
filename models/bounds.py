"""Bounds of settings: values out of bounds, and those of no effect, are refused when settings are made.

Of pydantic's own types ``PositiveInt`` and ``NonNegativeInt`` serve as they are, and ``PositiveFloat`` where
infinity has a meaning: a decay or a half-life of something that never fades.
"""

from typing import Annotated

from pydantic import Field

from models.config import Config

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0."""

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A finite number of 0 or more."""

Days = Annotated[float, Field(gt=0, le=36_525)]
"""A time of at most a century: no date overflows by it."""

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, from 0 to 1."""

PositiveFraction = Annotated[float, Field(gt=0, le=1)]
"""A part of a whole, and not nothing."""

BelowOne = Annotated[float, Field(ge=0, lt=1)]
"""A part of a whole that is never all of it, such as a dropout."""

Between = Annotated[float, Field(gt=0, lt=1)]
"""A number strictly between 0 and 1, such as a level of confidence."""


def only_where(used: bool, condition: str, config: Config, *names: str) -> None:
    """Refuse settings that would do nothing.

    Raises:
        ValueError: one of these fields is not at its default, though nothing reads it.
    """
    fields = type(config).model_fields
    defaults = {name: fields[name].get_default(call_default_factory=True) for name in names}
    idle = [name for name in names if getattr(config, name) != defaults[name]]
    if not used and idle:
        raise ValueError(f"{' and '.join(idle)} would do nothing: only used where {condition}")

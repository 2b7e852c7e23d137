"""Types of settings that several rankers share."""

from typing import Annotated

from pydantic import Field, PositiveInt

Fraction = Annotated[float, Field(ge=0, le=1)]
"""From 0 to 1."""

PositiveFraction = Annotated[float, Field(gt=0, le=1)]
"""Above 0, at most 1."""

DropoutRate = Annotated[float, Field(ge=0, lt=1)]
"""Fraction that is left out in training."""

Units = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
"""Units of each of some layers, at least one."""

"""The settings of an experiment."""

from typing import Annotated, Any

from pydantic import Field

from models.bounds import Days
from models.config import Config


class ArmConfig(Config):
    """A treatment arm: a group of users, and the settings that make other lists for them."""

    fraction: Annotated[float, Field(gt=0, le=1)]
    """Fraction of all users who are in the arm."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Settings that differ for the arm; the one arm without any is the control."""


class ExperimentConfig(Config):
    """Users in arms by a hash of their ids, for each arm a list by settings of its own."""

    layer: str | None = None
    """Layer: experiments of one exclude each other's users; by default one of the experiment's own."""
    window_days: Days = 7.0
    """Days after an exposure in which a rating of the film counts as watching it."""
    arms: Annotated[dict[str, ArmConfig], Field(min_length=2)]
    """Arms by name."""

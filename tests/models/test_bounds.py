"""Bounded numbers, and settings that would do nothing."""

from typing import Self

import pytest
from pydantic import ValidationError, model_validator

from models.bounds import BelowOne, Between, Fraction, NonNegative, Positive, only_where
from models.config import Config


class Bounded(Config):
    """One number of each kind."""

    positive: Positive = 1.0
    non_negative: NonNegative = 1.0
    fraction: Fraction = 0.5
    below_one: BelowOne = 0.5
    between: Between = 0.5


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("positive", (1e-9, 1e9), (0.0, -1.0, float("inf"), float("nan"))),
        ("non_negative", (0.0, 1e9), (-1e-9, float("inf"), float("nan"))),
        ("fraction", (0.0, 1.0), (-0.1, 1.1, float("nan"))),
        ("below_one", (0.0, 0.999), (-0.1, 1.0, float("nan"))),
        ("between", (0.001, 0.999), (0.0, 1.0, float("nan"))),
    ],
)
def test_numbers_out_of_bounds_are_refused(
    name: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    for value in inside:
        assert getattr(Bounded().but(**{name: value}), name) == value
    for value in outside:
        with pytest.raises(ValidationError):
            Bounded().but(**{name: value})


class Switched(Config):
    """A number that is read only when the switch is on."""

    on: bool = False
    strength: float = 1.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        only_where(self.on, "on is set", self, "strength")
        return self


def test_a_setting_that_nothing_reads_is_refused() -> None:
    assert Switched(on=True, strength=2.0).strength == 2.0
    assert Switched().strength == 1.0
    with pytest.raises(ValidationError, match="strength would do nothing: only used where on is set"):
        Switched(strength=2.0)

"""The scale of the ratings: from the worst to the best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import Doubles, Floats


@dataclass(frozen=True)
class Stars:
    """The lowest and the highest rating that there is."""

    low: float
    high: float

    @staticmethod
    def of(rating: Floats) -> "Stars":
        """The scale that ratings (N,) are on; 1 to 5 if there are none, or all are equal."""
        low, high = float(rating.min(initial=np.inf)), float(rating.max(initial=-np.inf))
        return Stars(low, high) if low < high else Stars(1.0, 5.0)

    def fraction(self, rating: Floats) -> Floats:
        """(N,) where ratings are between the lowest, 0, and the highest, 1."""
        return ((rating - self.low) / (self.high - self.low)).astype(np.float32)

    def rating(self, fraction: NDArray[np.floating]) -> Doubles:
        """(N,) the ratings of fractions of the scale."""
        return np.asarray(self.low + (self.high - self.low) * fraction.astype(np.float64))

    def clipped(self, rating: NDArray[np.floating]) -> Doubles:
        """(N,) predictions, those off the scale moved to its end."""
        return np.clip(rating.astype(np.float64), self.low, self.high)

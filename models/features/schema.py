"""The features of a model: enough to build its embeddings, and to refuse rows that do not fit."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from numpy.typing import NDArray

Column = NDArray[Any]

Columns = dict[str, Column]
"""Features by name, one row a query, a user, an item or a pair."""

Kind = Literal["categorical", "numeric", "multi_hot", "sequence"]
"""Encodings of features.

- categorical: (N,) int codes, 0 for missing or unknown; bucketed numbers are categorical too
- numeric: (N,) float, or (N, size) of a vector, already scaled, 0 for missing
- multi_hot: (N, size) of 0 and 1
- sequence: (N, L) int codes, oldest first, padded in front with 0; its items share ``embedding``
"""

Side = Literal["user", "item", "context", "cross"]
"""Sides of features: context is the moment of the query, cross is of a user and an item together."""


@dataclass(frozen=True)
class Feature:
    """One encoded input of a model."""

    name: str
    side: Side
    kind: Kind
    size: int = 1
    """Categorical and sequence: codes, 0 included. Multi-hot: columns. Numeric: numbers, mostly 1."""
    embedding: str = ""
    """The embedding table it reads; features that name the same one share it. Default: its own name."""

    @property
    def table(self) -> str:
        """The name of its embedding table."""
        return self.embedding or self.name


@dataclass(frozen=True)
class FeatureSchema:
    """The inputs of a model, in a fixed order; stored with its weights."""

    features: tuple[Feature, ...]

    def of(self, *sides: Side) -> tuple[Feature, ...]:
        """The features of some sides, in order."""
        return tuple(feature for feature in self.features if feature.side in sides)

    def to_json(self) -> str:
        """For the file that the weights are stored in."""
        return json.dumps([asdict(feature) for feature in self.features])

    @staticmethod
    def from_json(text: str) -> "FeatureSchema":
        """The schema that ``to_json`` wrote."""
        declared: list[dict[str, Any]] = json.loads(text)
        return FeatureSchema(tuple(Feature(**values) for values in declared))

    def digest(self) -> str:
        """SHA-256 (hex): equal schemas, equal digests."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

"""Declarations of features: what features.toml says, read into something that cannot be misspelt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Side = Literal["user", "item", "context", "cross", "channel"]
"""Whose feature it is; one of ``channel`` becomes a feature of every channel and of the merged list."""

Encoding = Literal["numeric", "log", "bucketed", "categorical", "multi_hot", "sequence"]
"""How its values reach a model; log is sign(x) log(1 + |x|), bucketed numbers are codes."""

SOURCES = ("statistic", "attribute", "compute")
"""Where values come from: ratings before a moment, an attribute of the log, a function. One of them."""

KNOWN = ("name", "type", "kind", "about", "default", "edges", "size", "embedding", "sql", *SOURCES)
"""Keys of a declaration; all others are parameters of its source."""


@dataclass(frozen=True)
class Declaration:
    """One feature that models read."""

    side: Side
    name: str
    kind: Encoding
    source: str  # one of SOURCES
    what: str  # name of the statistic, attribute or function
    parameters: Mapping[str, Any] = field(default_factory=dict)
    default: float | None = None
    """What stands for a missing number; without it, the mean."""
    edges: tuple[float, ...] = ()
    """Ascending bounds of the buckets of a bucketed number; each belongs to the bucket above it."""
    size: int | None = None
    """Codes of a categorical feature, 0 for missing included; without it, as many as the log has."""
    embedding: str = ""
    """The embedding table that it shares."""

    @property
    def column(self) -> str:
        """Its name among all features."""
        return f"{self.side}_{self.name}" if self.side in ("user", "item") else self.name


def declarations(declared: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Declaration, ...]:
    """What features.toml declares for models; declarations of ``sql`` alone are published, not read.

    Raises ValueError for one with an unknown side or kind, or with several sources.
    """
    return tuple(
        _declaration(side, block)
        for side, blocks in declared.items()
        for block in blocks
        if "sql" not in block
    )


def _declaration(side: str, block: Mapping[str, Any]) -> Declaration:
    sources = [source for source in SOURCES if source in block]
    if side not in get_args(Side) or block["kind"] not in get_args(Encoding) or len(sources) != 1:
        raise ValueError(f"feature {side}.{block['name']}: unknown side or kind, or not one source")
    return Declaration(
        side=side,  # type: ignore[arg-type]
        name=block["name"],
        kind=block["kind"],
        source=sources[0],
        what=block[sources[0]],
        parameters={key: value for key, value in block.items() if key not in KNOWN},
        default=block.get("default"),
        edges=tuple(block.get("edges", ())),
        size=block.get("size"),
        embedding=block.get("embedding", ""),
    )

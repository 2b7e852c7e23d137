"""Declarations of features: what features.toml says, read into something that cannot be misspelt."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from models.features.compute import OF_LISTS, OF_PAIR, OF_QUERY
from models.features.statistics import STATISTICS, WINDOW

Side = Literal["user", "item", "context", "cross", "channel"]
"""Whose feature it is; one of ``channel`` becomes a feature of every channel and of the merged list."""

Encoding = Literal["numeric", "log", "bucketed", "categorical", "multi_hot", "sequence"]
"""How its values reach a model; log is sign(x) log(1 + |x|), bucketed numbers are codes."""

SOURCES = ("statistic", "attribute", "compute")
"""Where values come from: ratings before a moment, an attribute of the log, a function. One of them."""

Function = Callable[..., Any]


def _attribute(log: Any) -> None:
    """An attribute has no parameters."""


OFFERED: Mapping[tuple[str, str], Mapping[str, Function]] = {
    ("user", "statistic"): STATISTICS,
    ("user", "attribute"): dict.fromkeys(("gender", "age", "occupation", "region"), _attribute),
    ("user", "compute"): OF_QUERY,
    ("item", "statistic"): STATISTICS,
    ("item", "attribute"): dict.fromkeys(("index", "year", "genres"), _attribute),
    ("context", "compute"): OF_QUERY,
    ("cross", "compute"): OF_PAIR,
    ("channel", "compute"): OF_LISTS,
}
"""What a declaration of a side may name as its source."""

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

    Raises ValueError, with what there is to choose from, for one that makes no sense.
    """
    return tuple(
        _declaration(side, block)
        for side, blocks in declared.items()
        for block in blocks
        if "sql" not in block
    )


def _declaration(side: str, block: Mapping[str, Any]) -> Declaration:
    where = f"feature {side}.{block.get('name')}"
    sources = [source for source in SOURCES if source in block]
    if "name" not in block or side not in get_args(Side) or len(sources) != 1:
        raise ValueError(f"{where}: it needs a side ({_listed(get_args(Side))}), a name and one source")
    if block.get("kind") not in get_args(Encoding):
        raise ValueError(f"{where}: unknown kind {block.get('kind')!r}, not {_listed(get_args(Encoding))}")
    declared = Declaration(
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
    if problem := _problem(declared):
        raise ValueError(f"{where}: {problem}")
    return declared


def _problem(declared: Declaration) -> str | None:
    """What is wrong with its source, its parameters or its encoding."""
    offered = OFFERED.get((declared.side, declared.source))
    if offered is None:
        return f"a feature of {declared.side} has no {declared.source}"
    if declared.what not in offered:
        return f"unknown {declared.source} {declared.what!r}, not {_listed(offered)}"
    parameters = dict(declared.parameters)
    if declared.source == "statistic":
        parameters.pop(WINDOW, None)
    try:
        inspect.signature(offered[declared.what]).bind(None, **parameters)
    except TypeError as error:
        return f"{declared.what}: {error}"
    ascending = list(declared.edges) == sorted(set(declared.edges))
    if declared.kind == "bucketed" and not (declared.edges and ascending):
        return "a bucketed number needs ascending edges"
    if declared.kind == "categorical" and declared.source != "attribute" and declared.size is None:
        return "codes that are no attribute need a size"
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)

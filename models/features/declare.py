"""Declarations of features: the content of features.toml, read into something that cannot be misspelt."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError

from models.bounds import Positive
from models.encoding import USER_ATTRIBUTES
from models.features.registry import OF_LISTS, OF_PAIR, OF_PAST, OF_QUERY
from models.features.schema import Side
from models.features.statistics import STATISTICS, WINDOW

Section = Literal[Side, "channel"]
"""Section of features.toml, whose feature it is; one of ``channel`` is a feature of every list."""

Encoding = Literal["numeric", "log", "bucketed", "categorical", "multi_hot", "sequence", "tfidf"]
"""Encoding of its values for models; log is sign(x) log(1 + |x|), bucketed numbers are codes."""

ColumnType = Literal[
    "BOOLEAN", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "BIGINT[]", "VARCHAR[]"
]
"""Types of published columns."""

SOURCES = ("statistic", "attribute", "compute")
"""Sources of values: ratings before a moment, an attribute of the log, a function."""

Function = Callable[..., Any]


def _attribute(log: Any) -> None:
    """An attribute has no parameters."""


OFFERED: Mapping[tuple[str, str], Mapping[str, Function]] = {
    ("user", "statistic"): STATISTICS,
    ("user", "attribute"): dict.fromkeys(("index", *USER_ATTRIBUTES), _attribute),
    ("user", "compute"): OF_QUERY | OF_PAST,
    ("item", "statistic"): STATISTICS,
    ("item", "attribute"): dict.fromkeys(("index", "year", "genres", "genre_set", "title"), _attribute),
    ("context", "compute"): OF_QUERY,
    ("cross", "compute"): OF_PAIR,
    ("channel", "compute"): OF_LISTS,
}
"""Names that a declaration of a section may have as its source, and the functions that they stand for."""

LISTS_OF_VALUES = {
    "newest_items": ("sequence",),
    "newest_years": ("sequence",),
    "newest_genre_sets": ("sequence",),
    "genres": ("multi_hot",),
    "top_genres": ("multi_hot",),
    "title": ("multi_hot", "tfidf"),
}
"""Attributes and functions with more than one value, and the kinds that they may have."""

HASHED = ("genre_set", "newest_genre_sets", "title")
"""Attributes and functions whose values are hashes, which need a size."""

SINGLE = ("numeric", "log", "bucketed", "categorical")
"""Kinds of a single value."""

READ_BY = {
    "default": ("numeric", "log"),
    "edges": ("bucketed", "sequence"),
    "size": ("categorical", "multi_hot", "sequence", "tfidf"),
    "embedding": ("bucketed", "categorical", "multi_hot", "sequence"),
}
"""Keys that only some kinds read."""


@dataclass(frozen=True)
class Declaration:
    """One feature that models read."""

    side: Section
    name: str
    kind: Encoding
    source: str  # one of SOURCES
    what: str  # name of the statistic, attribute or function
    parameters: Mapping[str, Any] = field(default_factory=dict)
    default: float | None = None
    """Value of a missing number; without it, the mean."""
    edges: tuple[float, ...] = ()
    """Ascending bounds of the buckets of a bucketed number; each belongs to the bucket above it."""
    size: int | None = None
    """Codes of a categorical feature, 0 for missing included; without it, as many as the log has.

    Of hashes, the codes or columns that they are taken to; of TF-IDF, the numbers of a vector.
    """
    embedding: str = ""
    """The embedding table that it shares."""

    @property
    def column(self) -> str:
        """Its name among all features."""
        return _column(self.side, self.name)


class FeatureBlock(BaseModel):
    """A declaration as it is written; keys beyond these are the parameters of its source."""

    model_config = ConfigDict(strict=True, extra="allow")

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    kind: str
    about: str = ""
    type: ColumnType | None = None
    default: float | None = None
    edges: list[float] = []
    size: PositiveInt | None = None
    embedding: str = ""
    statistic: str | None = None
    attribute: str | None = None
    compute: str | None = None
    sql: str | None = None
    optional: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """All further keys."""
        return self.model_extra or {}


def declarations(
    declared: Mapping[str, Sequence[Mapping[str, Any]]], optional: Sequence[str] = ()
) -> tuple[Declaration, ...]:
    """The features of features.toml for models; declarations of ``sql`` alone are published, not read.

    Of those that are optional the ones named in ``optional`` are read, by their names among all features.

    Raises:
        ValueError: a declaration makes no sense: which one, and what there is to choose from, in one line;
            or an optional feature is not there.
    """
    read: list[Declaration] = []
    names: set[str] = set()
    for section, blocks in declared.items():
        if section not in get_args(Section):
            raise ValueError(f"unknown section {section!r}, not {_listed(get_args(Section))}")
        if not (isinstance(blocks, list) and all(isinstance(content, Mapping) for content in blocks)):
            raise ValueError(f"section {section}: each feature begins with [[{section}]]")
        for content in blocks:
            where = f"feature {section}.{content.get('name')}"
            block = _block(where, content)
            if problem := _repeated(section, block, names) or _unpublishable(section, block):
                raise ValueError(f"{where}: {problem}")
            if block.sql is None:
                feature = _declaration(where, section, block)
                if not block.optional or feature.column in optional:
                    read.append(feature)
    choices = optional_names(declared)
    if unknown := set(optional).difference(choices):
        raise ValueError(f"no optional feature {min(unknown)!r}: choose from {_listed(choices) or 'none'}")
    return tuple(read)


def optional_names(declared: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The names of the optional features, as ``declarations`` takes them."""
    return [
        _column(section, str(block["name"]))
        for section, blocks in declared.items()
        for block in blocks
        if block.get("optional")
    ]


def _column(section: str, name: str) -> str:
    """The name of a feature among all."""
    return f"{section}_{name}" if section in ("user", "item") else name


def _block(where: str, content: Mapping[str, Any]) -> FeatureBlock:
    try:
        block = FeatureBlock.model_validate(dict(content))
    except ValidationError as error:
        raise ValueError(f"{where}: {_first(error)}") from None
    sources = [source for source in (*SOURCES, "sql") if getattr(block, source) is not None]
    if len(sources) != 1:
        raise ValueError(f"{where}: it needs one source ({_listed((*SOURCES, 'sql'))}), not {len(sources)}")
    return block


def _repeated(section: str, block: FeatureBlock, names: set[str]) -> str | None:
    """The problem of a name that another feature has."""
    column = _column(section, block.name)
    if column in names:
        return f"there is another feature {column}"
    names.add(column)
    return None


def _unpublishable(section: str, block: FeatureBlock) -> str | None:
    """The problem of its publication, if it is published."""
    published = block.type is not None
    if published and (section not in ("user", "item") or not (block.sql or block.statistic)):
        return "only a statistic or sql of a user or an item is published, others have no type"
    if published and block.optional:
        return "what is published is not optional"
    if block.sql and not published:
        return "sql is published, so it needs a type"
    if block.sql and block.parameters:
        return f"unknown key {_listed(block.parameters)}"
    return None


def _declaration(where: str, section: str, block: FeatureBlock) -> Declaration:
    if block.kind not in get_args(Encoding):
        raise ValueError(f"{where}: unknown kind {block.kind!r}, not {_listed(get_args(Encoding))}")
    source, what = next((s, getattr(block, s)) for s in SOURCES if getattr(block, s) is not None)
    declared = Declaration(
        side=section,  # type: ignore[arg-type]
        name=block.name,
        kind=block.kind,  # type: ignore[arg-type]
        source=source,
        what=what,
        parameters=block.parameters,
        default=block.default,
        edges=tuple(block.edges),
        size=block.size,
        embedding=block.embedding,
    )
    if problem := _problem_of_source(declared) or _problem_of_kind(declared):
        raise ValueError(f"{where}: {problem}")
    return declared


def _problem_of_source(declared: Declaration) -> str | None:
    """The problem of its source or the parameters of that."""
    offered = OFFERED.get((declared.side, declared.source))
    if offered is None:
        return f"a feature of {declared.side} has no {declared.source}"
    if declared.what not in offered:
        return f"unknown {declared.source} {declared.what!r}, not {_listed(offered)}"
    parameters = dict(declared.parameters)
    types: dict[str, Any] = {}
    if declared.source == "statistic" and WINDOW in parameters:
        types[WINDOW] = Positive
    signature = inspect.signature(offered[declared.what])
    try:
        signature.bind(None, **{name: value for name, value in parameters.items() if name not in types})
    except TypeError as error:
        return f"{declared.what}: {error}"
    types |= {name: signature.parameters[name].annotation for name in parameters.keys() - types.keys()}
    for name, value in parameters.items():
        try:
            TypeAdapter(types[name], config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError as error:
            return f"{declared.what}: {name}: {_first(error)}"
    return None


def _problem_of_kind(declared: Declaration) -> str | None:
    """The problem of its kind."""
    kind, what = declared.kind, declared.what
    allowed = LISTS_OF_VALUES.get(what, SINGLE)
    if kind not in allowed:
        return f"{what} is {'a number or code' if allowed == SINGLE else ' or '.join(allowed)}, not {kind}"
    for key, kinds in READ_BY.items():
        if getattr(declared, key) not in (None, (), "") and kind not in kinds:
            return f"{key} is for {_listed(kinds)}, not for {kind}"
    ascending = list(declared.edges) == sorted(set(declared.edges))
    if not ascending or (kind == "bucketed" and not declared.edges):
        return "its edges must be there, and ascend"
    if what in HASHED and (declared.size or 0) < 2:
        return f"{what} is hashed, which needs a size of 2 at least"
    if declared.size is not None and kind != "categorical" and what not in HASHED:
        return f"size is for codes and hashes, not for {what}"
    if kind == "categorical" and declared.source != "attribute" and declared.size is None:
        return "codes that are no attribute need a size"
    if (what == "newest_years") != (kind == "sequence" and bool(declared.edges)):
        return "a sequence of years needs edges, and no other has any"
    return None


def _first(error: ValidationError) -> str:
    """The first problem, in one line."""
    first = error.errors()[0]
    return ": ".join([*map(str, first["loc"][:1]), first["msg"]])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)

"""The settings of a configuration one by one, found in its pydantic models, and another value for each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, get_args

from models.config import Config, overlaid

Settings = dict[str, Any]


@dataclass(frozen=True)
class Leaf:
    """A setting: its dotted key, its default, what it may be, and what must be set for it to exist."""

    key: str
    default: Any
    annotation: Any
    given: Settings = field(default_factory=dict)

    def at(self, value: Any) -> Settings:
        """Nested settings that give it this value."""
        return nested(self.key, value)


@dataclass(frozen=True)
class Case:
    """How a setting is seen to do something: another value, beside other settings if it needs them."""

    to: Any = None
    """Another value; None for one that is chosen by the type."""
    given: Settings = field(default_factory=dict)
    """Settings without which nothing reads it."""
    refused: str | None = None
    """Part of the message, where any other value is refused."""


def leaves(config: Config, prefix: str = "") -> Iterator[Leaf]:
    """Every setting at any depth; of parts of which there are several kinds, those of each kind."""
    for name, info in type(config).model_fields.items():
        key, value = f"{prefix}{name}", getattr(config, name)
        kinds = [part for part in get_args(info.annotation) if _is_config(part)]
        if not isinstance(value, Config) and not kinds:
            yield Leaf(key, value, info.annotation)
        for number, kind in enumerate(kinds):
            if type(None) in get_args(info.annotation):
                yield Leaf(key, value, info.annotation)
                given = nested(key, {})
            else:
                given = nested(f"{key}.kind", kind().kind)
            for leaf in leaves(kind(), f"{key}."):
                if number == 0 or not leaf.key.endswith(".kind"):
                    yield Leaf(leaf.key, leaf.default, leaf.annotation, overlaid(given, leaf.given))
        if isinstance(value, Config) and not kinds:
            yield from leaves(value, f"{key}.")


def nested(key: str, value: Any) -> Settings:
    """``{"a": {"b": value}}`` for a.b."""
    tree: Settings = reduce(lambda inner, name: {name: inner}, reversed(key.split(".")), value)
    return tree


def value_at(tree: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key."""
    return reduce(lambda inner, name: inner[name], key.split("."), tree)


def another(leaf: Leaf, value: Any) -> Any:
    """A valid value other than this one, as far as the type says which are.

    Raises:
        LookupError: the type does not say.
    """
    choices = [choice for choice in get_args(leaf.annotation) if isinstance(choice, str)]
    if choices:
        return next(choice for choice in choices if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value // 2 if value > 1 else value + 1
    if isinstance(value, float):
        return 3.0 if value == float("inf") else value / 2 or 0.5
    if isinstance(value, tuple):
        first = Leaf(leaf.key, None, None)
        return (another(first, value[0]), *value[1:]) if value else (4,)
    raise LookupError


def _is_config(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)

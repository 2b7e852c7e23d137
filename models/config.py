"""The base of every configuration: typed, validated, immutable, each field with a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError


def _describe_defaults(schema: dict[str, Any]) -> None:
    """Let a form say what a setting is by default, in place of filling it in and so setting it."""
    for field in schema.get("properties", {}).values():
        if (default := field.pop("default", None)) is not None and not isinstance(default, dict):
            field["description"] = f"{field.get('description', '')} Default: {default}".strip()


class Config(BaseModel):
    """Settings that cannot be misspelt, out of range or changed; the docstring below a field describes it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        ser_json_inf_nan="strings",
        json_schema_extra=_describe_defaults,
    )

    def but(self, **changes: Any) -> Self:
        """The same settings with some fields changed.

        Raises:
            pydantic.ValidationError: a change is misspelt, of another type or out of range.
        """
        return type(self).model_validate({**dict(self), **changes})


C = TypeVar("C", bound=Config)


def configured(base: C, changes: Mapping[str, Any]) -> C:
    """The settings ``base`` with changes at any depth, such as ``{"training": {"epochs": 3}}``.

    Raises:
        pydantic.ValidationError: a change is misspelt, of another type or out of range.
    """
    return type(base).model_validate(overlaid(base.model_dump(), changes))


def overlaid(
    base: Mapping[str, Any], changes: Mapping[str, Any], tags: Sequence[str] = ("kind",)
) -> dict[str, Any]:
    """Nested settings with others laid over them; a part of another kind, or tag, is replaced as a whole."""
    result = dict(base)
    for name, value in changes.items():
        before = result.get(name)
        if not isinstance(value, Mapping) or not isinstance(before, Mapping):
            result[name] = value
        elif any(tag in value and tag in before and value[tag] != before[tag] for tag in tags):
            result[name] = dict(value)
        else:
            result[name] = overlaid(before, value, tags)
    return result


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted key, in order; an empty section is a value."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{key}.")
        else:
            yield key, value


def changed_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Dotted keys of the settings that differ in two trees, in their order; a missing one is None."""
    left, right = dict(flat(one)), dict(flat(other))
    return [key for key in left | right if left.get(key) != right.get(key)]


def with_seed(config: C, seed: int) -> C:
    """The settings with every ``seed`` in them, at any depth, set."""
    changes: dict[str, Any] = {
        name: with_seed(value, seed) for name, value in config if isinstance(value, Config)
    }
    if "seed" in type(config).model_fields:
        changes["seed"] = seed
    return config.model_copy(update=changes)


def problem(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """The first thing wrong with a configuration in one line, with what there is to choose from."""
    first = error.errors(include_url=False)[0]
    path, choices = _located(model, [str(part) for part in first["loc"]])
    where = ".".join(part for part in (prefix, *path) if part)
    if first["type"] == "model_type":
        section = ", ".join(f"{where}.{name}" for name in choices)
        return f"{where} is a section, not a value: choose from {section}"
    if first["type"] != "extra_forbidden":
        return f"{where}: {_message(first)}" if where else _message(first)
    close = get_close_matches(path[-1], choices, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"there is no setting '{where}': {hint}choose from {', '.join(choices)}"


def choices(what: str, name: str, names: Mapping[str, Any] | tuple[str, ...]) -> str:
    """One line that says that a name is unknown, and which there are."""
    close = get_close_matches(name, list(names), 1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown {what} '{name}': {hint}choose from {', '.join(names)}"


def _message(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = message.partition(", unable to parse")[0]
    if error["type"] == "value_error":
        return message
    if error["type"] == "literal_error":
        expected = message.replace("'", "").replace(" or ", ", ")
        return f"{error['input']!r}: choose from {expected}"
    return (
        f"{error['input']!r} is not {message}" if message[:1].islower() else f"{error['input']!r}: {message}"
    )


def _located(model: type[BaseModel], location: list[str]) -> tuple[list[str], list[str]]:
    """The names of the fields down to a location, and those that there are where it leaves the models.

    Pydantic puts the ``kind`` of a member of a union into a location, which is no part of a key.
    """
    path, members = [], [model]
    for name in location:
        if len(members) > 1:
            members = [member for member in members if member.model_fields["kind"].default == name]
            continue
        path.append(name)
        if members and (field := members[0].model_fields.get(name)):
            options = (field.annotation, *get_args(field.annotation))
            members = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
    return path, list(members[0].model_fields) if members else []

"""What every configuration is made of: typed, validated, immutable, each field with a sentence."""

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Settings that cannot be misspelt, out of range or changed; the docstring below a field describes it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=True,
        ser_json_inf_nan="strings",
        validate_default=False,
    )

    def but(self, **changes: Any) -> Self:
        """The same settings with some fields changed, validated."""
        return type(self).model_validate({**dict(self), **changes})


C = TypeVar("C", bound=Config)


def configured(base: C, changes: Mapping[str, Any]) -> C:
    """The settings ``base`` with changes at any depth: ``{"training": {"epochs": 3}}``.

    Raises:
        pydantic.ValidationError: a change is misspelt, of another type or out of range.
    """
    return type(base).model_validate(merged(base.model_dump(), changes))


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with others laid over them; naming another ``kind`` starts that part anew."""
    result = dict(base)
    for name, value in changes.items():
        before = result.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            anew = "kind" in value and value["kind"] != before.get("kind", value["kind"])
            result[name] = dict(value) if anew else merged(before, value)
        else:
            result[name] = value
    return result


def with_seed(config: C, seed: int) -> C:
    """The settings with every ``seed`` in them, at any depth, set."""
    changes: dict[str, Any] = {
        name: with_seed(value, seed) for name, value in config if isinstance(value, Config)
    }
    if "seed" in type(config).model_fields:
        changes["seed"] = seed
    return config.model_copy(update=changes)

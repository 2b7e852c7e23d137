"""The effective configuration, setting by setting, and a commented file to start from."""

from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w
from pydantic import BaseModel

from models.config import Config, flat
from models.pipeline.config import channel_settings, ranker_of
from tasks import config as configuration
from tasks import declarations
from tasks.config import Configuration, Layer

DEFAULT = "default"


def effective(overrides: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Every setting in use: key, value, origin, about (a sentence), in the order of the sections.

    Raises:
        MatineeError: a setting is misspelt, impossible, or makes no sense beside another one.
    """
    config = configuration.load(overrides)
    declarations.check(config.features, config.optional_features)
    layers = configuration.layers(overrides)
    about = dict(_descriptions(config))
    return [
        {"key": key, "value": value, "origin": _origin(key, layers), "about": about.get(key, "")}
        for key, value in flat(configuration.stored(config))
    ]


def example() -> str:
    """A file matinee.toml with every setting as it is by default, commented out."""
    config = configuration.checked(Configuration())
    lines = [
        "# The configuration of Matinee. A setting that is not here, or commented out, has its default.",
        "# Precedence: defaults, this file, environment variables, then --set or the parameters of a run.",
    ]
    lines += _section("", config, [])
    for name in config.recall.channels:
        kind, settings = channel_settings(config, name)
        lines += _section(f"channels.{name}", settings, [f"# The channel {name}, of the kind {kind}."])
    ranker = ranker_of(config)
    lines += _section(f"rankers.{config.rank.ranker}", ranker.settings, ["# The ranker in charge."])
    return "\n".join(lines) + "\n"


def _section(path: str, config: Config, head: list[str]) -> Iterator[str]:
    """A table with its settings commented out, then its parts as tables of their own."""
    yield ""
    yield from head
    if path:
        yield f"[{path}]"
    parts = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, Config):
            parts.append((f"{path}.{name}".strip("."), value, _sentence(field.description)))
        elif not isinstance(value, Mapping):
            yield f"# {_sentence(field.description)}"
            yield f"# {_line(name, value)}"
    for sub, part, description in parts:
        yield from _section(sub, part, [f"# {description}"])


def _line(name: str, value: Any) -> str:
    """``name = value`` as TOML has it; what is not set has no value there."""
    if value is None:
        return f"Not set: {name}"
    text = tomli_w.dumps({name: list(value) if isinstance(value, tuple) else value}).strip()
    return text.replace("[\n    ", "[").replace(",\n    ", ", ").replace(",\n]", "]")


def _descriptions(config: Configuration) -> Iterator[tuple[str, str]]:
    yield from _described(config, "")
    for name in config.channels:
        _, settings = channel_settings(config, name)
        yield f"channels.{name}.kind", "Kind of channel, as the registry names it."
        yield from _described(settings, f"channels.{name}.")
    for name in config.rankers:
        yield f"rankers.{name}.kind", "Kind of ranker, as the registry names it."
        yield from _described(ranker_of(config, name).settings, f"rankers.{name}.")


def _described(config: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from _described(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _sentence(field.description)


def _sentence(description: str | None) -> str:
    return " ".join((description or "").split())


def _origin(key: str, layers: list[Layer]) -> str:
    """The last layer that names the setting, or the whole that it is in."""
    for layer in reversed(layers):
        for named, value in flat(layer.settings):
            if value != {} and (key == named or key.startswith(f"{named}.")):
                return layer.origin
    return DEFAULT

"""The configuration of a release: defaults, `matinee.toml`, the environment, `--set` or a run's parameters.

Every layer is a nested dict of the settings that it changes; a later one wins, setting by setting.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import PositiveFloat, PositiveInt, ValidationError, model_serializer

from models.config import Config, changed_keys, flat, overlaid, problem
from models.pipeline import arms
from models.pipeline.config import PipelineConfig, Settings, resolved
from tasks import settings
from tasks.gate.config import GateConfig
from warehouse.errors import MatineeError
from warehouse.runs.run import Run


class ReleasesConfig(Config):
    """Retention of earlier releases."""

    keep: PositiveInt = 10
    """Releases kept for rollback, the current and the newest full one always among them."""


class EngineConfig(Config):
    """Processes that share the work of a run: its lists by users, its training by parts of a batch."""

    address: str | None = None
    """Address of a Dask scheduler, such as tcp://127.0.0.1:8786; null for this process alone."""
    shard_users: PositiveInt = 2_048
    """Users of a shard; its memory grows with them, and last digits of scores may depend on it."""
    patience: PositiveFloat = 60.0
    """Seconds to wait for a scheduler, or for a worker where all are gone."""
    training_processes: PositiveInt = 1
    """Processes of this machine that train the towers together, each on its part of every batch."""


class Configuration(PipelineConfig):
    """All that decides a release besides the log, and how releases are kept."""

    features: Path | None = None
    """A file that declares features in the manner of tasks/features.toml, in its place."""
    optional_features: tuple[str, ...] = ()
    """Names of optional features of that file that models read too."""
    releases: ReleasesConfig = ReleasesConfig()
    """Retention of earlier releases."""
    engine: EngineConfig = EngineConfig()
    """Processes that share the work of a run."""
    gate: GateConfig = GateConfig()
    """Limits that a release must keep to be published."""


class OnlyWhatIsSet(Config):
    """Parameters of a flow: what is left out is neither shown nor stored, and decides nothing."""

    @property
    def changes(self) -> Settings:
        """The settings that were set, and nothing of what is left to defaults."""
        return _set_fields(self)

    @model_serializer(mode="plain")
    def _serialized(self) -> Settings:
        return self.changes


class Changes(Configuration, OnlyWhatIsSet):
    """Settings that win over matinee.toml; whatever is left out stays as it is there."""


class HourlyChanges(OnlyWhatIsSet):
    """Settings that an hourly run may be given; all else is as its release has it."""

    releases: ReleasesConfig = ReleasesConfig()
    """Retention of earlier releases."""
    gate: GateConfig = GateConfig()
    """Limits that a release must keep to be published."""


def _set_fields(config: Config) -> Settings:
    values = {
        name: getattr(config, name) for name in type(config).model_fields if name in config.model_fields_set
    }
    return {
        name: _set_fields(value) if isinstance(value, Config) else value for name, value in values.items()
    }


@dataclass(frozen=True)
class Layer:
    """Settings of one origin."""

    origin: str
    settings: Settings


HOURLY = ("releases", "gate", "engine.address")
"""Sections and settings that an hourly run may change; all else is as its release has it."""


def load(overrides: Mapping[str, Any] | None = None) -> Configuration:
    """The configuration as it stands now, with nothing left to defaults; ``overrides`` win over all else.

    Raises:
        MatineeError: a setting is misspelt, impossible, or makes no sense beside another one.
    """
    defaults, tree = Configuration().model_dump(), dict[str, Any]()
    for layer in layers(overrides):
        # What one layer says of a method is not for the method of another one.
        tree = overlaid(tree, layer.settings, ("kind", "method"))
        _validated(overlaid(defaults, tree), layer.origin)
    config = checked(_validated(overlaid(defaults, tree)))
    # The release, which stores it, is read from other folders too.
    return config if config.features is None else config.but(features=config.features.absolute())


def layers(overrides: Mapping[str, Any] | None = None) -> list[Layer]:
    """The settings of each origin, in the order in which later ones win.

    Raises:
        MatineeError: the configuration file cannot be read.
    """
    keep = settings.environment().keep_releases
    environment = {} if keep is None else {"releases": {"keep": keep}}
    return [_file(), Layer("MATINEE_KEEP_RELEASES", environment), Layer("--set", dict(overrides or {}))]


def checked(config: Configuration) -> Configuration:
    """The configuration with every setting of what is in use.

    Raises:
        MatineeError: settings make no sense together.
    """
    try:
        whole = arms.resolved_arms(resolved(config))
    except ValueError as error:
        raise MatineeError(str(error)) from None
    return whole


def is_reranked(config: Configuration) -> bool:
    """True if lists of anybody are re-ranked, treatment arms included."""
    return any(variant.rerank.method != "none" for variant in arms.variants(config).values())


def of(run: Run) -> Configuration:
    """The configuration that a run began with.

    Raises:
        MatineeError: it is one of another version of this program.
    """
    try:
        return checked(_validated(run.config))
    except MatineeError as error:
        made = f"release {run.id} was made by another version"
        raise MatineeError(f"{made} ({error}): run `matinee nightly` first") from None


def for_hourly(parent: Configuration, overrides: Mapping[str, Any] | None = None) -> Configuration:
    """The configuration of the release that an hourly run refreshes, with the settings that it may change.

    Raises:
        MatineeError: ``overrides`` name anything else.
    """
    changes = dict(overrides or {})
    for key, _ in flat(changes):
        if not within(key, *HOURLY):
            allowed = ", ".join(HOURLY)
            raise MatineeError(
                f"an hourly run goes by its release: {key} is for the next nightly ({allowed} may be set)"
            )
    now = load(changes)
    engine = parent.engine.but(address=now.engine.address)  # a scheduler of then may be gone
    return parent.but(releases=now.releases, gate=now.gate, engine=engine)


def differing(one: Configuration, other: Configuration) -> list[str]:
    """Dotted keys of the settings in which two configurations differ."""
    return sorted(changed_keys(stored(one), stored(other)))


def within(key: str, *sections: str) -> bool:
    """True if the dotted key of a setting is one of these, or lies in a section of that name."""
    return any(key == section or key.startswith(f"{section}.") for section in sections)


def stored(config: Configuration) -> Settings:
    """The configuration as a release stores it: JSON types, and infinity as TOML writes it."""
    tree: Settings = _finite(config.model_dump(mode="json"))
    return tree


def parse_set(items: Sequence[str]) -> Settings:
    """Settings from ``KEY=VALUE`` texts; values are YAML: numbers, true, null, words, [lists], {maps}.

    Raises:
        MatineeError: a text is no KEY=VALUE, or its value cannot be read.
    """
    tree: Settings = {}
    for item in items:
        key, sign, text = item.partition("=")
        if not sign or not all(part.strip() for part in key.split(".")):
            raise MatineeError(f"--set {item!r}: write KEY=VALUE, such as --set rank.ranker=din")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):  # the latter: a day that there is not, such as 2001-02-30
            raise MatineeError(
                f"--set {key}: {text!r} is no value: quote it, or write [a, b] for a list"
            ) from None
        tree = overlaid(tree, _nested(key.strip().split("."), value))
    return tree


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _nested(path: list[str], value: Any) -> Settings:
    for part in reversed(path):
        value = {part: value}
    nested: Settings = value
    return nested


def _file() -> Layer:
    chosen = settings.environment().config
    path = chosen or settings.own_configuration()
    if chosen is None and not path.exists():
        return Layer(path.name, {})
    try:
        tree = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise MatineeError(f"{path} is no TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MatineeError(f"{path} cannot be read ({reason}): set MATINEE_CONFIG to a TOML file") from None
    if isinstance(features := tree.get("features"), str):
        tree["features"] = str(path.absolute().parent / features)
    return Layer(str(path) if chosen else path.name, tree)


def _validated(tree: Mapping[str, Any], origin: str | None = None) -> Configuration:
    try:
        return Configuration.model_validate(tree)
    except ValidationError as error:
        where = f"{origin}: " if origin else ""
        raise MatineeError(f"{where}{problem(error, Configuration)}") from None

"""The search for settings of a channel or a ranker, on validation data alone."""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
import tomli_w
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from models.config import Config, choices, flat, overlaid
from models.evaluation.metadata import MAIN_METRICS
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.split import Split
from models.pipeline.config import channel_settings, ranker_of
from models.pipeline.search import Range, ranges
from models.pipeline.tuning import Judge, RankerTrials, channel_value
from models.rank.registry import RANKERS
from models.recall.registry import CHANNELS
from tasks import config as configuration
from tasks import declarations, settings
from tasks.commands.answer import Answer
from tasks.commands.evaluate import configured_for, read_log, splits_of
from tasks.config import Configuration
from warehouse.errors import MatineeError

logger = logging.getLogger("matinee")

FOLDER = "tuning"
"""Folder of the home that holds the trials of every search, for a later one to go on with."""

DIGITS = 3
"""Significant digits of settings that are tried."""

Value = Callable[[Configuration], float]
"""The metric by a configuration; more is better."""


def tune(
    name: str,
    protocol: str,
    trials: int,
    source: str | None = None,
    seed: int | None = None,
    config: Mapping[str, Any] | None = None,
) -> Answer:
    """Search for the settings of a channel or a ranker that are best on the validation splits of a protocol.

    The first trial is of the settings as they are. Trials of an earlier search for the same, on the same
    data, count: ``trials`` are those of all searches together. The answer has name, protocol, metric, k,
    trials, before and best (values), settings (those of the best, by key) and toml (the lines to keep, empty
    where the settings as they are were the best).

    Raises:
        MatineeError: there is no such channel or ranker, nothing of it can be searched, or the protocol
            cannot be run on the log.
    """
    if protocol not in PROTOCOLS:
        raise MatineeError(choices("protocol for tuning", protocol, tuple(PROTOCOLS)))
    metric, k = MAIN_METRICS[protocol][0]
    assert k is not None
    section, whole = _configuration(name, protocol, k, seed, config)
    of_name = channel_settings(whole, name)[1] if section == "channels" else ranker_of(whole, name).settings
    space = _space(of_name)
    if not space:
        raise MatineeError(f"{name} has no settings to search: see models/pipeline/search.py")
    dataset, _ = read_log(source or settings.source())
    _, validations = splits_of(protocol, dataset)
    judge = Judge.of(validations, metric, k)
    study = _study(name, protocol, whole, validations, space)
    _search(study, name, section, whole, space, trials, _value(section, name, whole, validations, judge))
    return _answer(study, name, section, whole, protocol, judge)


def _configuration(
    name: str, protocol: str, k: int, seed: int | None, config: Mapping[str, Any] | None
) -> tuple[str, Configuration]:
    """The section of a channel or a ranker, and the configuration with it in use."""
    as_is = configuration.load(config)
    if name in CHANNELS or name in as_is.channels:
        return "channels", configured_for(protocol, [name], None, (k,), seed, config)
    if name in RANKERS or name in as_is.rankers:
        changes = overlaid(config or {}, {"rank": {"ranker": name}})
        return "rankers", configured_for(protocol, None, [name], (k,), seed, changes)
    raise MatineeError(choices("channel or ranker", name, (*CHANNELS, *RANKERS)))


def _space(config: Config) -> dict[str, tuple[Range, float]]:
    """By key, the range of a setting, widened to its value as it is, and this value.

    A setting that is off (None, or infinite) is what makes its channel another one: it stays off.
    """
    values = dict(flat(config.model_dump()))
    found = {}
    for key, limits in ranges(config).items():
        now = values[key]
        if now is not None and math.isfinite(now):
            found[key] = Range(min(limits.low, now), max(limits.high, now), limits.log), now
    return found


def _study(
    name: str,
    protocol: str,
    whole: Configuration,
    validations: Sequence[Split],
    space: Mapping[str, tuple[Range, float]],
) -> optuna.Study:
    """The trials so far of the same search: the same data, settings, and ranges."""
    about = [configuration.stored(whole), [split.digest() for split in validations], repr(space)]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:12]
    file = settings.home() / FOLDER / f"{name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(file)))
    return optuna.create_study(
        storage=storage, study_name=f"{protocol}-{digest}", direction="maximize", load_if_exists=True
    )


def _value(
    section: str, name: str, whole: Configuration, validations: Sequence[Split], judge: Judge
) -> Value:
    if section == "channels":
        return lambda config: channel_value(config, name, validations, judge)
    try:
        trials = RankerTrials(
            whole, validations, declarations.of(whole.features, whole.optional_features), judge
        )
    except ValueError as error:
        raise MatineeError(f"{name} cannot be tuned on this log: {error}") from None
    return trials.value


def _search(
    study: optuna.Study,
    name: str,
    section: str,
    whole: Configuration,
    space: Mapping[str, tuple[Range, float]],
    trials: int,
    value: Value,
) -> None:
    """Try settings until there are as many trials as wanted."""

    def objective(trial: optuna.Trial) -> float:
        tried = {key: _suggested(trial, key, limits) for key, (limits, _) in space.items()}
        trial.set_user_attr("settings", tried)
        try:
            found = value(_changed(whole, section, name, tried))
        except ValueError as error:
            raise optuna.TrialPruned(str(error)) from None
        text = ", ".join(f"{key} {number:g}" for key, number in tried.items())
        logger.info("%-22s trial %d of %d: %.4f  %s", f"tune {name}", trial.number + 1, trials, found, text)
        return found

    done = len(study.trials)
    if not done:
        study.enqueue_trial({key: now for key, (_, now) in space.items()})
    # Another seed each time, or a search that goes on would try the same again.
    study.sampler = optuna.samplers.TPESampler(seed=whole.seed + done)
    study.optimize(objective, max(0, trials - done), catch=(FloatingPointError,))


def _suggested(trial: optuna.Trial, key: str, limits: Range) -> float:
    if limits.is_whole:
        return trial.suggest_int(key, int(limits.low), int(limits.high), log=limits.log)
    return float(f"{trial.suggest_float(key, limits.low, limits.high, log=limits.log):.{DIGITS}g}")


def _changed(whole: Configuration, section: str, name: str, tried: Mapping[str, float]) -> Configuration:
    """The configuration with other settings of the channel or ranker."""
    described = getattr(whole, section)
    return whole.but(**{section: {**described, name: overlaid(described[name], _nested(tried))}})


def _nested(tried: Mapping[str, float]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in tried.items():
        *parts, last = key.split(".")
        part = tree
        for name in parts:
            part = part.setdefault(name, {})
        part[last] = value
    return tree


def _answer(
    study: optuna.Study, name: str, section: str, whole: Configuration, protocol: str, judge: Judge
) -> Answer:
    done = [trial for trial in study.trials if trial.value is not None]
    if not done:
        raise MatineeError(f"no trial of {name} came to an end: raise --trials")
    best = max(done, key=lambda trial: (trial.value, -trial.number))
    chosen = {} if best.number == 0 else best.user_attrs["settings"]
    return {
        "name": name,
        "protocol": protocol,
        "metric": judge.metric,
        "k": judge.k,
        "trials": len(study.trials),
        "before": next((trial.value for trial in done if trial.number == 0), None),
        "best": best.value,
        "settings": chosen,
        "toml": tomli_w.dumps({section: {name: _nested(chosen)}}) if chosen else "",
    }

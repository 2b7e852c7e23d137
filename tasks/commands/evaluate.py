"""Offline evaluation on one protocol: channels, merged and published lists, or rankers on single ratings."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from models.config import choices, flat, overlaid
from models.dataset import Dataset
from models.encoding import Vocabulary, encode
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.row_splits import CTR_PROTOCOLS, RATING_PROTOCOLS
from models.evaluation.rows import Difference, MeasuredModel, compare, ranking_rows
from models.evaluation.saved import of_slices, pack, unpack
from models.evaluation.scores import EvaluationConfig, Evaluator, Scores, is_window
from models.evaluation.split import Split
from models.pipeline.offline import BEST, PUBLISHED, UNION, ModelLists, answers, warm_up
from models.rank.candidates import MERGED
from models.rank.registry import RANKERS
from models.stars import Stars
from tasks import config as configuration
from tasks import declarations, settings
from tasks.commands import ctr, given_lists, ratings
from tasks.config import Configuration
from warehouse import evaluation as files
from warehouse.arrays import Arrays
from warehouse.errors import MatineeError
from warehouse.events import log as event_log

KS = (10, 50, 300)
"""List lengths that are measured unless others are asked for."""

OBJECTIVES = {"rolling": "daily", "temporal-2003": "daily", "months-ahead": "daily", "next-visit": "visit"}
"""The objective with which the nightly flow asks what a protocol asks; of all others it is ``next``."""

UNMEASURED = ("releases", "engine", "gate", "seed")
"""Settings that decide no metric, and the seed, which every row has."""

TIMED = ("leave-one-out-timed",)
"""Protocols that ask for a film at the time at which it was watched: what is learned from is asked alike."""

HASH_DIGITS = 12
"""Digits of the hash of a split, where people read it."""

COMPARED = ("all", "known", "unknown")
"""Slices whose sums are kept for paired differences, beside those of whole windows."""


def evaluate(
    protocol: str,
    source: str | None = None,
    channels: Sequence[str] | None = None,
    rankers: Sequence[str] | None = None,
    ks: Sequence[int] = KS,
    seed: int | None = None,
    baseline: str | None = None,
    out: Path | None = None,
    lists: Sequence[Path] = (),
    config: Mapping[str, Any] | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Measure all models over the log, or over ``source`` alone, of which the log does not learn.

    On ``ctr-random`` and ``ctr-last`` those are rankers alone, and no lists; all rankers by default. On
    ``rating`` and ``rating-time`` they are rankers, and channels that predict ratings. There ``threshold`` is
    the least rating of a film that was liked. ``baseline`` is a model of this evaluation or, for lists, the
    ``out`` of an earlier one. ``config`` has settings that win over matinee.toml; ``channels`` and ``seed``
    are short for two of them. ``lists`` are files with lists of somebody else: more models, and the only ones
    where an earlier evaluation is the baseline and nothing names ours. The answer has protocol, split (a hash
    for each window), seed, rows, differences to the baseline (rows with a model), and lists (how much of each
    file answers nothing).

    Raises:
        MatineeError: a name is unknown, the protocol cannot be run on the log, or a file is of no use.
    """
    of_rows = protocol in CTR_PROTOCOLS or protocol in RATING_PROTOCOLS
    if protocol in CTR_PROTOCOLS and (channels is not None or lists):
        raise MatineeError(f"{protocol} measures rankers alone, without channels and lists")
    if protocol in RATING_PROTOCOLS and lists:
        raise MatineeError(f"{protocol} measures single ratings, no lists")
    if protocol not in PROTOCOLS and not of_rows:
        raise MatineeError(choices("protocol", protocol, (*PROTOCOLS, *CTR_PROTOCOLS, *RATING_PROTOCOLS)))
    if threshold is not None and not of_rows:
        raise MatineeError(f"--threshold would do nothing: on {protocol} all ratings are positive")
    whole = configured_for(protocol, channels, rankers, ks, seed, config)
    changed = _changed(config)  # not after hours, in which the file may have become another
    if of_rows:
        return _evaluate_rows(whole, protocol, source, channels, rankers, baseline, out, threshold, changed)
    names_ours = bool(channels or rankers or config)
    rankers = (whole.rank.ranker,) if rankers is None else rankers
    models = (*whole.recall.channels, *rankers, MERGED, UNION, BEST, PUBLISHED)
    given = given_lists.read(lists, models)
    earlier = _read_baseline(baseline, (*models, *given))
    if out is not None:
        files.check_writable(out)
    dataset, vocabulary = read_log(source or settings.source())
    splits, validations = splits_of(protocol, dataset)
    evaluator = Evaluator(splits, EvaluationConfig(ks=tuple(ks)), vocabulary.categories)
    _check_split(earlier, evaluator)
    found, unused = given_lists.measure(given, splits, vocabulary, ks)
    if not (given and earlier) or names_ours:
        declared = declarations.of(whole.features, whole.optional_features)
        warm_up(whole, dataset, declared)
        pairs = zip(splits, validations, strict=True)
        ours = [answers(whole, *pair, rankers, declared) for pair in pairs]
        found = [[*window, *more] for window, more in zip(ours, found, strict=True)]
    rows, scores = _measured(found, evaluator, whole.seed)
    if out is not None:
        files.write(out, rows, pack(scores) | changed)
    return {
        "protocol": protocol,
        "split": evaluator.digest.split(),
        "seed": whole.seed,
        "rows": rows,
        "baseline": baseline,
        "differences": _differences(scores, earlier, baseline),
        "lists": unused,
    }


def configured_for(
    protocol: str,
    channels: Sequence[str] | None,
    rankers: Sequence[str] | None,
    ks: Sequence[int],
    seed: int | None,
    config: Mapping[str, Any] | None,
) -> Configuration:
    """The configuration with the options, asked for what and when the protocol asks, lists long enough."""
    if "objective" in (config or {}):
        raise MatineeError("objective: the protocol decides what is asked; name another --protocol")
    objective = OBJECTIVES.get(protocol, "next")
    holdout = {"timed": True} if protocol in TIMED else {}
    options: dict[str, Any] = {
        "objective": objective,
        "holdout": holdout,
        "rankers": {name: {} for name in rankers or ()},
    }
    if seed is not None:
        options["seed"] = seed
    changes = overlaid(config or {}, options)
    if protocol in CTR_PROTOCOLS:
        kinds = [name for name in rankers or RANKERS if name in RANKERS]
        changes = overlaid({"rankers": ctr.auxiliary_settings(kinds)}, changes)
    if channels is not None:
        changes = overlaid(changes, {"recall": {"channels": list(channels)}} | _unnamed(changes, channels))
    recall = configuration.load(changes).recall
    if protocol in TIMED and "two_tower" in recall.channels:
        changes = overlaid({"channels": {"two_tower": {"towers": {"context": True}}}}, changes)
    width = max(recall.candidates, *ks)
    return configuration.load(overlaid(changes, {"recall": {"candidates": width}}))


def _unnamed(changes: Mapping[str, Any], channels: Sequence[str]) -> dict[str, Any]:
    """Further changes that take back which channels learn on and explain, if they are none of these."""
    layers = configuration.layers(changes)
    named = {key: value for layer in layers for key, value in flat(layer.settings)}
    parts = ("incremental", "explain")
    return {
        part: {"channel": None} for part in parts if named.get(f"{part}.channel") not in (None, *channels)
    }


def _changed(config: Mapping[str, Any] | None) -> Arrays:
    """The settings that are not left to defaults and decide what is measured, for who reads it later."""
    layers = (layer.settings for layer in configuration.layers(config))
    changed = flat(reduce(overlaid, layers, {}))
    lines = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in changed
        if not configuration.within(key, *UNMEASURED)
    ]
    return {files.SETTINGS: np.array(lines, dtype=np.str_)}


def _evaluate_rows(
    config: Configuration,
    protocol: str,
    source: str | None,
    channels: Sequence[str] | None,
    rankers: Sequence[str] | None,
    baseline: str | None,
    out: Path | None,
    threshold: float | None,
    changed: Arrays,
) -> dict[str, Any]:
    """Models on single ratings; of channels and rankers all that can if neither is named."""
    if channels is None and rankers is None:
        channels, rankers = ratings.RATERS, tuple(RANKERS)
    channels, rankers = () if protocol in CTR_PROTOCOLS else channels or (), rankers or ()
    ratings.check_channels(config, channels)
    if baseline is not None and baseline not in (*channels, *rankers):
        raise MatineeError(choices("baseline", baseline, (*channels, *rankers)))
    if out is not None:
        files.check_writable(out)
    dataset, _ = read_log(source or settings.source())
    stars = Stars.of(dataset.rating)
    if threshold is not None and not stars.low < threshold <= stars.high:
        raise MatineeError(
            f"--threshold {threshold:g} parts no ratings, which go from {stars.low:g} to {stars.high:g}"
        )
    try:
        if protocol in CTR_PROTOCOLS:
            measured = ctr.measure(config, protocol, dataset, rankers, baseline, threshold)
        else:
            measured = ratings.measure(config, protocol, dataset, channels, rankers, baseline, threshold)
    except ValueError as error:
        raise MatineeError(f"{protocol} cannot be run on this log: {error}") from None
    rows = [asdict(row) for row in measured.rows]
    if out is not None:
        files.write(out, rows, {"split": np.array([protocol, measured.split])} | changed)
    return {
        "protocol": protocol,
        "split": [measured.split],
        "seed": config.seed,
        "rows": rows,
        "baseline": baseline,
        "differences": _by_model(measured.differences),
        "lists": [],
    }


def read_log(source: str | None) -> tuple[Dataset, Vocabulary]:
    """All ratings of the log, or of a source by itself, which needs no movies file.

    Raises:
        MatineeError: the log is empty, or no rating of the source can be used.
    """
    if source is None:
        return _encoded(settings.home())
    with tempfile.TemporaryDirectory() as folder:
        report = event_log.ingest(Path(folder), source, films_of_ratings=True)
        if not report.rows_logged:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.quarantined.items())
            raise MatineeError(f"{source}: no rating can be used ({reasons})")
        return _encoded(Path(folder))


def _encoded(home: Path) -> tuple[Dataset, Vocabulary]:
    whole = files.read_log(home)
    return encode(whole.events, whole.users, whole.items, int(whole.events["at"].max()) + 1)


def _read_baseline(baseline: str | None, models: Sequence[str]) -> dict[str, Scores]:
    """The models of an earlier evaluation; none if the baseline is a model of this one, or there is none."""
    if baseline is None or baseline in models:
        return {}
    if not Path(baseline).exists():
        raise MatineeError(f"no file, and {choices('baseline', baseline, tuple(models))}")
    earlier = unpack(files.read_sums(Path(baseline)))
    if not earlier:
        raise MatineeError(f"{baseline} is no baseline for lists: it measured single ratings")
    return earlier


def splits_of(protocol: str, dataset: Dataset) -> tuple[list[Split], list[Split]]:
    """The splits and those of their training parts."""
    rules = PROTOCOLS[protocol]
    try:
        splits = rules.splits(dataset)
        return splits, [rules.validation(split) for split in splits]
    except ValueError as error:
        raise MatineeError(f"{protocol} cannot be run on this log: {error}") from None


def _check_split(earlier: Mapping[str, Scores], evaluator: Evaluator) -> None:
    for scores in earlier.values():
        if scores.digest != evaluator.digest:
            ours, theirs = evaluator.digest[:HASH_DIGITS], scores.digest[:HASH_DIGITS]
            raise MatineeError(
                f"the baseline was measured on {scores.protocol} {theirs}, "
                f"this is {evaluator.protocol} {ours}"
            )


def _measured(
    found: Sequence[Sequence[ModelLists]], evaluator: Evaluator, seed: int
) -> tuple[list[dict[str, Any]], dict[str, Scores]]:
    """Rows of all models, and by stage/model the sums that comparisons need; ``found`` by window."""
    rows = []
    scores = {}
    compared = [part for part in evaluator.size if part in COMPARED or is_window(part)]
    for windows in zip(*found, strict=True):
        stage, model = windows[0].stage, windows[0].model
        if min(evaluator.config.ks) > windows[0].lists.n:
            continue
        measured = evaluator.scores([answer.lists for answer in windows])
        seconds = round(sum(answer.seconds for answer in windows), 3)
        rows += [asdict(row) for row in ranking_rows(measured, MeasuredModel(stage, model, seed, seconds))]
        scores[f"{stage}/{model}"] = of_slices(measured, compared)
    return rows, scores


def _differences(
    scores: Mapping[str, Scores], earlier: Mapping[str, Scores], baseline: str | None
) -> list[dict[str, Any]]:
    """Differences of every model to the baseline, or to itself in the earlier evaluation if it is there.

    Lists of somebody else that are not there differ from those published then.
    """
    if baseline is None:
        return []
    # A pre-ranker may have the name of a ranker or of the merge: those are meant.
    named = [
        key for key in sorted(scores, key=lambda key: key.startswith("prerank/")) if _model(key) == baseline
    ]
    published = earlier.get(f"published/{PUBLISHED}")
    before = {key: published for key in scores if key.startswith(f"{given_lists.STAGE}/")} | dict(earlier)
    against = {key: scores[named[0]] if named else before.get(key) for key in scores}
    pairs = {key: other for key, other in against.items() if other is not None and key not in named[:1]}
    return _by_model({key: compare(scores[key], other) for key, other in pairs.items()})


def _model(key: str) -> str:
    return key.partition("/")[2]


def _by_model(differences: Mapping[str, Sequence[Difference]]) -> list[dict[str, Any]]:
    """Rows with a stage and a model, from differences by stage/model."""
    return [
        dict(zip(("stage", "model"), key.split("/"), strict=True)) | asdict(one)
        for key, found in differences.items()
        for one in found
    ]

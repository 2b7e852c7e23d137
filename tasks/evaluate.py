"""Offline evaluation: every channel, the merged list, and the list as it would be published."""

import json
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from models.dataset import Dataset
from models.encoding import Vocabulary
from models.evaluation import objectives, rows
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.scores import EvaluationConfig, Evaluator, Scores
from models.evaluation.split import Split
from models.recall import merge as fusion
from models.recall import registry
from models.recall.contract import Candidates
from tasks import data, settings
from tasks.merge import NEWCOMERS
from tasks.start import describe
from warehouse import log as event_log
from warehouse import runs
from warehouse.errors import MatineeError

log = logging.getLogger("matinee")

RECALLED = 300
"""Candidates a query and channel."""

PUBLISHED = 50
"""Films published a user."""

OBJECTIVE = {"leave-one-out": "next", "successive": "next", "temporal-2003": "daily", "rolling": "daily"}
"""What the nightly flow would be told to fit for on each protocol."""

WARM_UP_USERS = 50
"""Users whose log is fitted once before the clock runs, so that compilation is in no figure."""

Lists = dict[tuple[str, str], list[Candidates]]
"""Stage and model: the lists of each split."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of all models on one protocol."""

    protocol: str
    digest: str  # of the splits: figures of equal digests are comparable
    seed: int
    rows: list[rows.Row]
    differences: dict[str, list[rows.Difference]]  # by model, where there is a baseline


def evaluate(
    protocol: str,
    source: str | None = None,
    channels: Sequence[str] = registry.DEFAULT_CHANNELS,
    ks: Sequence[int] = (10, 50, 300),
    seed: int = 0,
    baseline: str | None = None,
    out: Path | None = None,
) -> Evaluation:
    """Measure on the log, or on a source alone; write the rows to ``out`` and the sums beside it.

    ``baseline`` is a model of this evaluation, or a file that an earlier one wrote. Raises MatineeError for
    unknown names and for a log that the protocol cannot be run on.
    """
    _check(protocol, channels)
    dataset, vocabulary = read_log(source)
    try:
        splits = PROTOCOLS[protocol].splits(dataset)
        evaluator = Evaluator(splits, EvaluationConfig(ks=tuple(ks)), vocabulary.labels)
    except ValueError as error:
        raise MatineeError(f"{protocol} cannot be run on this log: {error}") from None
    lists, seconds = _lists(splits, channels, seed)
    scores = {key: evaluator.scores(found) for key, found in lists.items()}
    figures = [
        row
        for (stage, model), score in scores.items()
        for row in rows.ranking_rows(score, rows.Run(stage, model, seed, seconds.get(model)))
    ]
    differences = _differences(scores, baseline)
    if out is not None:
        _write(out, figures, scores)
    return Evaluation(protocol, evaluator.digest, seed, figures, differences)


def read_log(source: str | None) -> tuple[Dataset, Vocabulary]:
    """The whole log, or a source by itself, of which the log does not learn. Raises MatineeError."""
    if source is None:
        return data.encode_snapshot(describe(settings.home(), "evaluation", None, {}))
    with tempfile.TemporaryDirectory() as folder:
        event_log.ingest(Path(folder), source)
        return data.encode_snapshot(describe(Path(folder), "evaluation", None, {}))


def _check(protocol: str, channels: Sequence[str]) -> None:
    if protocol not in PROTOCOLS:
        raise MatineeError(f"unknown protocol '{protocol}': choose one of {', '.join(PROTOCOLS)}")
    for name in channels:
        if name not in registry.CHANNELS:
            raise MatineeError(f"unknown channel '{name}': choose from {', '.join(registry.CHANNELS)}")


def _lists(splits: list[Split], channels: Sequence[str], seed: int) -> tuple[Lists, dict[str, float]]:
    """The lists of every model, and the seconds that fitting each channel took, over all splits."""
    lists: Lists = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    _warm_up(splits[0].train, channels, seed)
    for split in splits:
        brought = {}
        for name in channels:
            brought[name], taken = _recall(split, name, seed)
            seconds[name] += taken
            lists["recall", name].append(brought[name])
        own = PROTOCOLS[split.protocol].validation(split)
        merged = _merged(split, brought, own, seed, RECALLED)
        lists["merge", "merged"].append(merged)
        lists["merge", "union"].append(merged)
        nightly = objectives.validation(split.train, OBJECTIVE[split.protocol])
        newest = fusion.newcomers_from(brought, NEWCOMERS, split.queries) if NEWCOMERS in brought else brought
        lists["published", "published"].append(_merged(split, newest, nightly, seed, PUBLISHED))
    return lists, seconds


def _warm_up(train: Dataset, channels: Sequence[str], seed: int) -> None:
    few = train.where(train.user_idx < WARM_UP_USERS)
    for name in channels:
        registry.build(name, seed).fit(few)


def _recall(split: Split, name: str, seed: int) -> tuple[Candidates, float]:
    begin = time.perf_counter()
    model = registry.build(name, seed).fit(split.train)
    fitted = time.perf_counter()
    brought = model.recommend(split.queries, RECALLED)
    label = f"{split.protocol}{f' {split.window}' if split.window else ''}"
    log.info(
        "%-26s %-18s fitted in %5.1f s, recalled in %5.1f s",
        label,
        name,
        fitted - begin,
        time.perf_counter() - fitted,
    )
    return brought, fitted - begin


def _merged(
    split: Split, brought: dict[str, Candidates], held_back: Split | None, seed: int, n: int
) -> Candidates:
    """The merged list, its weights fitted on what the same channels bring for the held-back part."""
    if held_back is None:
        weights = np.ones((len(brought), 2), dtype=np.float32)
    else:
        before = {name: _recall(held_back, name, seed)[0] for name in brought}
        targets = held_back.targets
        weights = fusion.fit_weights(before, held_back.queries, targets.indptr, targets.item)
    order = fusion.fallback_order(split.train)
    n = min(n, split.train.n_items)
    return fusion.merge(brought, weights, split.queries, order, n).candidates


def _differences(
    scores: dict[tuple[str, str], Scores], baseline: str | None
) -> dict[str, list[rows.Difference]]:
    """Paired differences of every model from the baseline."""
    if baseline is None:
        return {}
    ours = {model: score for (_, model), score in scores.items()}
    theirs = {baseline: ours[baseline]} if baseline in ours else _read(Path(baseline), set(ours))
    try:
        if baseline in ours:
            return {m: rows.compare(s, theirs[baseline]) for m, s in ours.items() if m != baseline}
        return {model: rows.compare(ours[model], score) for model, score in theirs.items() if model in ours}
    except ValueError as error:
        raise MatineeError(f"{baseline}: {error}") from None


def _write(out: Path, figures: list[rows.Row], scores: dict[tuple[str, str], Scores]) -> None:
    """The rows as JSON, and beside them, as .npz, the sums by user that paired differences need."""
    runs.write_atomically(out, json.dumps([asdict(row) for row in figures], indent=1) + "\n")
    arrays = {}
    for (stage, model), score in scores.items():
        arrays[f"{stage}/{model}/keys"] = np.array(json.dumps(score.keys))
        arrays[f"{stage}/{model}/numerator"] = score.numerator.astype(np.float32)
        arrays[f"{stage}/{model}/denominator"] = score.denominator.astype(np.float32)
    one = next(iter(scores.values()))
    np.savez_compressed(out.with_suffix(".npz"), protocol=one.protocol, digest=one.digest, **arrays)


def _read(file: Path, models: set[str]) -> dict[str, Scores]:
    """The sums of an earlier evaluation. Raises MatineeError if the file is none."""
    sums = file.with_suffix(".npz")
    if not sums.exists():
        known = ", ".join(sorted(models))
        raise MatineeError(f"no baseline '{file}': name a model ({known}) or a file that --out wrote")
    with np.load(sums) as arrays:
        found = {}
        for name in arrays.files:
            if name.endswith("/keys"):
                prefix = name.removesuffix("/keys")
                keys = [(part, metric, k) for part, metric, k in json.loads(str(arrays[name]))]
                numerator, denominator = arrays[f"{prefix}/numerator"], arrays[f"{prefix}/denominator"]
                protocol, digest = str(arrays["protocol"]), str(arrays["digest"])
                found[prefix.split("/")[1]] = Scores(protocol, digest, {}, keys, numerator, denominator, {})
    return found

"""Offline evaluation on one protocol: channels, merged and published lists, or rankers on single ratings."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from models.dataset import Dataset
from models.encoding import Vocabulary, encode
from models.evaluation.ctr import CTR_PROTOCOLS
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.rows import Difference, Row, Run, compare, ranking_rows
from models.evaluation.saved import of_slices, pack, unpack
from models.evaluation.scores import EvaluationConfig, Evaluator, Scores, is_window
from models.evaluation.split import Split
from models.pipeline.config import DEFAULT_CHANNELS
from models.rank.candidates import MERGED
from models.rank.registry import RANKERS
from models.recall.registry import CHANNELS
from tasks import settings
from tasks.commands import ctr
from tasks.commands.offline import BEST, CANDIDATES, PUBLISHED, UNION, Answers, Plan, answers, warm_up
from tasks.steps.rank import DEFAULT_RANKER
from warehouse import evaluation as files
from warehouse.errors import MatineeError
from warehouse.events import log as event_log

Answer = dict[str, Any]

KS = (10, 50, 300)
"""List lengths that are measured unless told otherwise."""

NEXT_DAYS = ("temporal-2003", "rolling")
"""Protocols that ask what the nightly flow asks with the objective ``daily``; the others ask ``next``."""

HASH_DIGITS = 12
"""Of the hash of a split, where people read it."""

COMPARED = ("all", "known", "unknown")
"""Slices whose sums are kept for paired differences, beside those of whole windows."""

STAGES = {MERGED: "merge", UNION: "merge", BEST: "merge", PUBLISHED: "published"}
"""All other models are rankers, or channels: recall."""


def evaluate(
    protocol: str,
    source: str | None = None,
    channels: Sequence[str] | None = None,
    rankers: Sequence[str] | None = None,
    ks: Sequence[int] = KS,
    seed: int = 0,
    baseline: str | None = None,
    out: Path | None = None,
) -> Answer:
    """Measure all models over the log, or over ``source`` alone, of which the log does not learn.

    On ``ctr-random`` and ``ctr-last`` those are rankers alone, and no lists; all rankers by default.
    ``baseline`` is a model of this evaluation or, for lists, the ``out`` of an earlier one. The answer has
    protocol, split (a hash for each window), seed, rows, and differences to the baseline (rows with a model).
    Raises MatineeError for unknown names and for a log that the protocol cannot be run on.
    """
    if protocol in CTR_PROTOCOLS:
        if channels is not None:
            raise MatineeError(f"{protocol} measures rankers alone, without channels")
        return _evaluate_rankers(protocol, source, rankers or tuple(RANKERS), seed, baseline, out)
    channels = DEFAULT_CHANNELS if channels is None else channels
    rankers = (DEFAULT_RANKER,) if rankers is None else rankers
    plan = _plan(protocol, channels, rankers, ks, seed)
    earlier = _read_baseline(baseline, plan)
    if out is not None:
        files.check_writable(out)
    dataset, vocabulary = read_log(source or settings.source())
    splits, validations = _splits(protocol, dataset)
    evaluator = Evaluator(splits, EvaluationConfig(ks=tuple(ks)), vocabulary.labels)
    _check_split(earlier, evaluator)
    warm_up(dataset, plan)
    found = [answers(*pair, plan) for pair in zip(splits, validations, strict=True)]
    rows, scores = _measured(found, evaluator, seed)
    if out is not None:
        files.write(out, rows, pack(scores))
    return {
        "protocol": protocol,
        "split": evaluator.digest.split(),
        "seed": seed,
        "rows": rows,
        "baseline": baseline,
        "differences": _differences(scores, earlier, baseline),
    }


def _evaluate_rankers(
    protocol: str,
    source: str | None,
    rankers: Sequence[str],
    seed: int,
    baseline: str | None,
    out: Path | None,
) -> Answer:
    _check_rankers(rankers)
    if baseline is not None and baseline not in rankers:
        raise MatineeError(f"unknown baseline '{baseline}': no model of {', '.join(rankers)}")
    if out is not None:
        files.check_writable(out)
    dataset, _ = read_log(source or settings.source())
    try:
        measured = ctr.measure(protocol, dataset, rankers, seed, baseline)
    except ValueError as error:
        raise MatineeError(f"{protocol} cannot be run on this log: {error}") from None
    rows = [asdict(row) for row in measured.rows]
    if out is not None:
        files.write(out, rows, {"split": np.array([protocol, measured.split])})
    return {
        "protocol": protocol,
        "split": [measured.split],
        "seed": seed,
        "rows": rows,
        "baseline": baseline,
        "differences": _by_model(measured.differences),
    }


def read_log(source: str | None) -> tuple[Dataset, Vocabulary]:
    """All ratings of the log, or of a source by itself."""
    if source is None:
        return _encoded(settings.home())
    with tempfile.TemporaryDirectory() as folder:
        event_log.ingest(Path(folder), source)
        return _encoded(Path(folder))


def _encoded(home: Path) -> tuple[Dataset, Vocabulary]:
    whole = files.read_log(home)
    return encode(whole.events, whole.users, whole.items, int(whole.events["at"].max()) + 1)


def _plan(
    protocol: str, channels: Sequence[str], rankers: Sequence[str], ks: Sequence[int], seed: int
) -> Plan:
    if protocol not in PROTOCOLS:
        known = ", ".join((*PROTOCOLS, *CTR_PROTOCOLS))
        raise MatineeError(f"unknown protocol '{protocol}': choose one of {known}")
    if unknown := [name for name in channels if name not in CHANNELS]:
        raise MatineeError(f"unknown channel '{unknown[0]}': choose from {', '.join(CHANNELS)}")
    _check_rankers(rankers)
    objective = "daily" if protocol in NEXT_DAYS else "next"
    return Plan(tuple(channels), objective, seed, max(CANDIDATES, *ks), tuple(rankers))


def _check_rankers(rankers: Sequence[str]) -> None:
    if unknown := [name for name in rankers if name not in RANKERS]:
        raise MatineeError(f"unknown ranker '{unknown[0]}': choose from {', '.join(RANKERS)}")


def _read_baseline(baseline: str | None, plan: Plan) -> dict[str, Scores]:
    """The models of an earlier evaluation; none if the baseline is a model of this one, or there is none."""
    models = (*plan.channels, *plan.rankers, *STAGES)
    if baseline is None or baseline in models:
        return {}
    if not Path(baseline).exists():
        raise MatineeError(f"unknown baseline '{baseline}': no file, and no model of {', '.join(models)}")
    earlier = unpack(files.read_sums(Path(baseline)))
    if not earlier:
        raise MatineeError(f"{baseline} is no baseline for lists: the ctr protocols measure single ratings")
    return earlier


def _splits(protocol: str, dataset: Dataset) -> tuple[list[Split], list[Split]]:
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
            here, there = evaluator.digest[:HASH_DIGITS], scores.digest[:HASH_DIGITS]
            raise MatineeError(
                f"the baseline was measured on {scores.protocol} {there}, this is {evaluator.protocol} {here}"
            )


def _measured(
    found: Sequence[Answers], evaluator: Evaluator, seed: int
) -> tuple[list[dict[str, Any]], dict[str, Scores]]:
    """Rows of all models, and the sums of each that comparisons need."""
    rows: list[Row] = []
    scores = {}
    compared = [part for part in evaluator.size if part in COMPARED or is_window(part)]
    for name in found[0].lists:
        if min(evaluator.config.ks) > found[0].lists[name].n:
            continue
        measured = evaluator.scores([part.lists[name] for part in found])
        seconds = sum(part.seconds[name] for part in found)
        rows += ranking_rows(measured, Run(_stage(name), name, seed, round(seconds, 3)))
        scores[name] = of_slices(measured, compared)
    return [asdict(row) for row in rows], scores


def _stage(model: str) -> str:
    return STAGES.get(model, "rank" if model in RANKERS else "recall")


def _differences(
    scores: Mapping[str, Scores], earlier: Mapping[str, Scores], baseline: str | None
) -> list[dict[str, Any]]:
    """Of every model to the baseline, or to itself in the earlier evaluation, where that has it."""
    pairs = {
        name: scores[baseline] if baseline in scores else earlier.get(name)
        for name in scores
        if baseline is not None and name != baseline
    }
    return _by_model(
        {name: compare(scores[name], other) for name, other in pairs.items() if other is not None}
    )


def _by_model(differences: Mapping[str, Sequence[Difference]]) -> list[dict[str, Any]]:
    """Rows with a model."""
    return [{"model": name} | asdict(one) for name, found in differences.items() for one in found]

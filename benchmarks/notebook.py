"""The schemes that people compare two-tower models by, on ``temporal-2003``, as a table in Markdown.

    python -m benchmarks.notebook SOURCE [--schemes dssm_bce,dssm_hinge] [--epochs 1] [--set KEY=VALUE]...

Pooled recall@50 of each scheme with its 95 % interval over users, beside what the notebook that inspired
the project printed for it. Each scheme is a channel of its own name and settings.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import configuration
from models.evaluation.protocols import temporal
from models.evaluation.rows import MeasuredModel, Row, ranking_rows
from models.evaluation.scores import EvaluationConfig, Evaluator
from models.pipeline.config import build_channel
from tasks.commands.evaluate import read_log

K = 50
"""Length of the lists."""


def dssm(**changes: Any) -> dict[str, Any]:
    """Settings of a channel: the towers of attributes, ids and the mean of the history, with changes."""
    return {"kind": "two_tower", "preset": "dssm"} | changes


BCE = {"kind": "bce"}
NO_ATTRIBUTES = {"attributes": False, "demographics": False, "statistics": False}

SCHEMES: dict[str, tuple[str, dict[str, Any], float | None]] = {
    "popular": ("popularity", {}, None),
    "item_cf": ("ItemCF", {}, 0.057),
    "dssm_bce": ("BCE, uniform negatives", dssm(loss=BCE), 0.071),
    "dssm_weighted": (
        "BCE, 30 % frequent and 70 % rare negatives",
        dssm(loss=BCE, negatives={"uniform": 0, "popularity": 154, "rare": 358}),
        None,
    ),
    "dssm_rated": ("BCE towards the rating", dssm(loss=BCE | {"ratings": "label"}), None),
    "dssm_hinge": (
        "triplets, hinge",
        dssm(loss={"kind": "hinge", "margin": 0.2}, towers={"temperature": 1}),
        0.071,
    ),
    "dssm_logistic": ("triplets, logistic", dssm(loss={"kind": "logistic"}), None),
    "dssm_ids": ("softmax, uniform negatives, ids alone", dssm(towers=NO_ATTRIBUTES), None),
    "dssm": ("softmax, uniform negatives, with attributes", {}, None),
    "dssm_popularity": (
        "softmax, negatives by popularity to the power .75",
        dssm(negatives={"uniform": 0, "popularity": 512}),
        None,
    ),
    "dssm_in_batch": (
        "softmax, in-batch",
        dssm(negatives={"uniform": 0, "in_batch": 512, "correct_in_batch": False}),
        None,
    ),
    "dssm_logq": ("softmax, in-batch with logQ", dssm(negatives={"uniform": 0, "in_batch": 512}), None),
    "dssm_hard": ("softmax, uniform and hard negatives", dssm(negatives={"hard": 4}), None),
    "dssm_mixed": (
        "softmax, uniform, in-batch and hard negatives",
        dssm(negatives={"uniform": 256, "in_batch": 128, "hard": 4}),
        None,
    ),
    "dssm_augmented": ("softmax, dual augmented towers", dssm(towers={"augmented": True}), None),
    "dssm_crosses": ("softmax, cross layers in both towers", dssm(towers={"crosses": 2}), None),
}
"""What each scheme is, its settings, and the notebook's recall@50 where it has one."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and print row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--schemes", default=",".join(SCHEMES), help="names between commas")
    parser.add_argument("--epochs", type=int, help="of each two-tower model, in place of its own number")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    names = options.schemes.split(",")
    if unknown := {*names} - SCHEMES.keys():
        parser.error(f"no scheme {', '.join(sorted(unknown))}: choose from {', '.join(SCHEMES)}")
    shorter = {} if options.epochs is None else {"training": {"epochs": options.epochs}}
    settings = {name: SCHEMES[name][1] | (shorter if name.startswith("dssm") else {}) for name in names}
    channels = {name: changes for name, changes in settings.items() if changes}
    config = configuration.load(options.set, {"recall": {"channels": names}, "channels": channels})
    split = temporal(read_log(options.source)[0])
    evaluator = Evaluator([split], EvaluationConfig(ks=(K,), metrics=("pooled_recall",)))
    print(f"| scheme | channel | recall@{K} | notebook | fit |\n|---|---|---:|---:|---:|")
    for name in names:
        started = time.perf_counter()
        channel = build_channel(config, name).fit(split.train)
        seconds = time.perf_counter() - started
        scores = evaluator.scores([channel.recommend(split.queries, K)])
        rows = ranking_rows(scores, MeasuredModel("recall", name))
        row = next(row for row in rows if row.slice == "all")
        cells = SCHEMES[name][0], f"`{name}`", measured(row), theirs(name), f"{seconds:.0f} s"
        print(f"| {' | '.join(cells)} |", flush=True)


def measured(row: Row) -> str:
    """The value of a row with half of its interval."""
    assert row.value is not None
    assert row.ci_low is not None
    assert row.ci_high is not None
    return f"{row.value:.4f} ±{(row.ci_high - row.ci_low) / 2:.3f}"


def theirs(name: str) -> str:
    """The notebook's figure of a scheme."""
    figure = SCHEMES[name][2]
    return "–" if figure is None else f"{figure:.3f}"


if __name__ == "__main__":
    main()

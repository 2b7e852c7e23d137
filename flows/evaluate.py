"""Offline evaluation as a run: all models on one protocol, as a table of the run."""

from pathlib import Path
from typing import Any, Literal

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import NonNegativeInt, PositiveInt

from flows.limits import HOUR
from flows.naming import run_name, say_why
from tasks.commands import evaluate as command
from tasks.config import Changes
from tasks.steps.artifacts import show_table

Protocol = Literal[
    "next-visit",
    "rolling",
    "leave-one-out",
    "leave-one-out-timed",
    "leave-one-out-shuffled",
    "leave-last-page-out",
    "last-two",
    "successive",
    "temporal-2003",
    "months-ahead",
    "ctr-random",
    "ctr-last",
    "rating",
    "rating-time",
]

measure = task(name="evaluate", task_run_name="evaluate {protocol}", cache_policy=NO_CACHE)(command.evaluate)


@flow(name="evaluate", flow_run_name=run_name, on_failure=[say_why], timeout_seconds=24 * HOUR)
def evaluate(
    protocol: Protocol = "next-visit",
    source: str | None = None,
    channels: list[str] | None = None,
    rankers: list[str] | None = None,
    k: list[PositiveInt] = [10, 50, 300],  # noqa: B006 - read alone; Prefect's form shows it
    seed: NonNegativeInt | None = None,
    baseline: str | None = None,
    out: Path | None = None,
    threshold: float | None = None,
    config: Changes = Changes(),
) -> dict[str, Any]:
    """Measure every channel, the merged and the published list offline, on ratings held back.

    Args:
        protocol: What is asked; ctr-random and ctr-last measure rankers alone, rating and rating-time what
            predicts ratings.
        source: A folder or zip in a MovieLens layout, a ratings file, ml-1m, or synthetic[:scale], of which
            the log does not learn. By default MATINEE_SOURCE, else the log.
        channels: Recall channels. By default those of the configuration.
        rankers: Rankers. By default that of the configuration; on ctr-random and ctr-last all of them.
        k: List lengths to measure at.
        seed: Seed of everything drawn at random. By default that of the configuration.
        baseline: A model of this evaluation, or a file that an earlier one wrote, to show differences to.
        out: File on the worker that all metrics are written to, as JSON.
        threshold: On single ratings, the least rating of a film that was liked.
        config: Settings that win over matinee.toml; whatever is left out stays as it is there.
    """
    found: dict[str, Any] = measure(
        protocol,
        source,
        channels,
        rankers,
        sorted(set(k)),
        seed,
        baseline,
        out,
        config=config.changes,
        threshold=threshold,
    )
    show_table("evaluation", found["rows"], f"{protocol}, seed {found['seed']}, split {found['split']}")
    show_table("differences", found["differences"], f"{protocol}: differences to {baseline}")
    return found

"""Steps of the pipeline; each leaves a line in the log, and a row of lineage that says it is done."""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import polars as pl
from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from tasks import engine
from tasks.cost import Cost, Meter, RowCounts, formatted, trim_heap
from warehouse.runs import files
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")
# Workers have no terminal that would ask for these lines: without a level they would not reach Prefect's UI.
logger.setLevel(logging.INFO)

P = ParamSpec("P")

WHOLE_NUMBERS = {"shards": pl.Int32, "workers": pl.Int32}
"""Types of columns that are null for most steps."""

StepFunction = Callable[Concatenate[Run, P], RowCounts]


def step(
    name: str, reads: list[str], writes: list[str]
) -> Callable[[StepFunction[P]], Task[Concatenate[Run, P], RowCounts]]:
    """A Prefect task over a run whose rows and cost become a row of ``lineage``.

    The function takes the Run first and returns the rows it wrote by table. Names may hold its arguments
    in braces, e.g. "recall {channel}". A step that the run has taken already is not taken again: its row of
    lineage, written last, says so.
    """

    def decorate(function: StepFunction[P]) -> Task[Concatenate[Run, P], RowCounts]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def measured(run: Run, *args: P.args, **kwargs: P.kwargs) -> RowCounts:
            arguments = signature.bind(run, *args, **kwargs).arguments
            label, *tables = (text.format(**arguments) for text in (name, *reads, *writes))
            if label in steps_taken(run):
                logger.info("%-22s was done before", label)
                return {}
            with Meter() as meter:
                rows = function(run, *args, **kwargs)
            record(run, label, tables[: len(reads)], tables[len(reads) :], rows, meter.cost)
            logger.info("%-22s %6.1f s   %s", label, meter.cost.seconds, formatted(rows))
            trim_heap()
            return rows

        decorated = task(name=function.__name__, task_run_name=name, cache_policy=NO_CACHE)(measured)
        return decorated

    return decorate


def record(run: Run, name: str, inputs: list[str], outputs: list[str], rows: RowCounts, cost: Cost) -> None:
    """Add a row to the run's lineage, in the order of the steps."""
    row = {
        "release_id": run.id,
        "step": name,
        "inputs": inputs,
        "outputs": outputs,
        "rows": sum(rows.values()),
        "seconds": round(cost.seconds, 3),
        **engine.total(run, name, cost),
    }
    number = len(_lineage_files(run))
    files.write_table(run, f"lineage/{number:03d}", pl.DataFrame([row], schema_overrides=WHOLE_NUMBERS))


def steps_taken(run: Run) -> set[str]:
    """The names of the steps that the run has taken."""
    return {row["step"] for row in lineage(run)}


def lineage(run: Run) -> list[dict[str, Any]]:
    """The rows of the run's lineage so far, in the order of the steps."""
    found = _lineage_files(run)
    return pl.read_parquet(found).to_dicts() if found else []


def _lineage_files(run: Run) -> list[str]:
    return sorted(str(file) for file in run.folder.glob("lineage/*.parquet"))

"""The incremental flow: ID embeddings learn the new events, whoever rated something gets a new list."""

from typing import Any

from prefect import flow
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run

from flows.nightly import PUBLISHING
from tasks import settings
from tasks.steps.features import build_features
from tasks.steps.increment import carry_over, touch
from tasks.steps.publish import LostRace, abandon, publish
from tasks.steps.rank import rank
from tasks.steps.recall import recall_again
from tasks.steps.report import report
from tasks.steps.start import Run, start_incremental
from tasks.steps.train import learn

MAX_RACES = 5
"""Publications of others that an hourly run computes anew for, before it leaves the events to the next."""


def _run_name() -> str:
    return f"hourly as of {flow_run.parameters.get('as_of') or 'the newest event'}"


@flow(name="hourly", flow_run_name=_run_name, log_prints=False)
def hourly(as_of: str | None = None) -> dict[str, Any]:
    """Refresh what is published with the events since then; without any, nothing is published.

    If another release is published meanwhile, all is computed anew from that one.
    """
    home = settings.home()
    for _ in range(MAX_RACES):
        run = start_incremental(home, as_of)
        if run is None:
            return {"release_id": None, "rows": {}}
        try:
            rows = _refresh(run)
        except LostRace:
            abandon.fn(run)
            continue
        except BaseException:
            abandon.fn(run)
            raise
        report(home, rows)
        return {
            "release_id": run.id,
            "as_of": run.as_of.isoformat(),
            "parent_id": run.parent_id,
            "seed": run.config["seed"],
            "rows": rows,
        }
    raise LostRace(
        f"others published {MAX_RACES} times while this run computed: the next hour takes these events"
    )


def _refresh(run: Run) -> dict[str, int]:
    config = run.config
    touch(run)
    build_features(run)
    learn(run, config["learner"], config["seed"])
    for channel in config["channels"]:
        recall_again(run, channel, config["candidates"])
    rank(run, config["channels"], config["top_n"])
    carry_over(run)
    with concurrency(PUBLISHING, occupy=1):
        rows: dict[str, int] = publish(run, config["top_n"])
    return rows

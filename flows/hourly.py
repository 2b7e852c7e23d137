"""The incremental flow: ID embeddings learn the new events, whoever rated something gets a new list."""

from typing import Any

from prefect import State, flow

from flows.limits import HOUR
from flows.naming import run_name, say_why
from flows.publishing import held, in_a_line, in_turn, or_abandoned
from tasks import settings
from tasks.config import HourlyChanges, of
from tasks.steps.artifacts import show_artifacts
from tasks.steps.block_list import read_block_list
from tasks.steps.carry_over import select_users
from tasks.steps.features import build_features
from tasks.steps.publish import Held, LostRace, publish
from tasks.steps.recommend import recommend
from tasks.steps.shown import filter_shown
from tasks.steps.start import Run, start_incremental
from tasks.steps.update import update

MAX_RACES = 5
"""Publications of others that an hourly run computes anew for, before it leaves the events to the next."""


@flow(name="hourly", flow_run_name=run_name, on_failure=[say_why], timeout_seconds=3 * HOUR)
def hourly(as_of: str | None = None, config: HourlyChanges = HourlyChanges()) -> dict[str, Any] | State:
    """Refresh what is published with the events since then; without any, nothing is published.

    If another release is published meanwhile, all is computed anew from that one.

    Args:
        as_of: Only events before this time count (ISO 8601, UTC). By default all logged events.
        config: Settings that an hourly run may change (releases, gate); all else is as its release has it.
    """
    home = settings.home()
    for _ in range(MAX_RACES):
        with in_a_line():
            run = start_incremental(home, as_of, config.changes)
        if run is None:
            return {"release_id": None, "rows": {}}
        try:
            with or_abandoned(run):
                rows = _refresh(run)
        except LostRace:
            continue
        except Held as error:
            return held(error)
        show_artifacts(run, rows)
        return {
            "release_id": run.id,
            "as_of": run.as_of.isoformat(),
            "parent_id": run.parent_id,
            "seed": of(run).seed,
            "rows": rows,
        }
    raise LostRace(
        f"others published {MAX_RACES} times while this run computed: the next hour takes these events"
    )


def _refresh(run: Run) -> dict[str, int]:
    config = of(run)
    build_features(run)
    select_users(run)
    if config.exposure.source != "none":
        filter_shown(run)
    if run.block_list:
        read_block_list(run)
    if config.incremental.channel is not None:
        update(run, config.incremental.channel)
    recommend(run)
    with in_turn():
        return publish(run)

"""The full flow: ingest, features, training, recall, merge, rank, publish."""

from typing import Any, Literal

from prefect import State, flow

from flows.limits import HOUR
from flows.naming import run_name, say_why
from flows.publishing import held, in_a_line, in_turn, or_left, with_report
from tasks import settings
from tasks.config import Changes, Configuration, is_reranked, load
from tasks.steps.artifacts import show_artifacts
from tasks.steps.block_list import read_block_list
from tasks.steps.communities import find_communities
from tasks.steps.features import build_features
from tasks.steps.ingest import choose_source, ingest
from tasks.steps.merge import fit_merge
from tasks.steps.publish import Held, publish
from tasks.steps.questions import ask_about
from tasks.steps.rank import fit_rank
from tasks.steps.recall import recall
from tasks.steps.recommend import recommend
from tasks.steps.rerank import fit_rerank
from tasks.steps.segments import recommend_segments
from tasks.steps.shown import filter_shown
from tasks.steps.start import Run, start


@flow(name="nightly", flow_run_name=run_name, on_failure=[say_why], timeout_seconds=12 * HOUR)
def nightly(
    source: str | None = None,
    as_of: str | None = None,
    mode: Literal["cold", "warm"] | None = None,
    config: Changes = Changes(),
    or_synthetic: bool = False,
) -> dict[str, Any] | State:
    """Turn the log into a published release; what is published stays as it was if anything fails.

    A run that failed or was killed is gone on with where it stopped if nothing has changed since.

    Args:
        source: Source to ingest first: a folder or zip in a MovieLens layout, a ratings file, ml-1m, or
            synthetic[:scale]. By default MATINEE_SOURCE, else the log as it is.
        as_of: Only events before this time count (ISO 8601, UTC). By default all logged events.
        mode: cold trains from scratch, warm goes on from the newest full release; by default warm where
            that can be.
        config: Settings that win over matinee.toml; whatever is left out stays as it is there.
        or_synthetic: If the log is empty and ml-1m cannot be downloaded, use made-up ratings.
    """
    whole, home = load(config.changes), settings.home()
    chosen = choose_source(home, source or settings.source(), or_synthetic)
    with in_a_line():
        ingested = ingest(home, chosen) if chosen else None
        run = start(home, as_of, mode, whole, ingested)
    try:
        with or_left(run):
            rows = _publish(run, whole)
    except Held as error:
        return held(error)
    show_artifacts(run, rows)
    return {
        "release_id": run.id,
        "seed": whole.seed,
        "as_of": run.as_of.isoformat(),
        "source": run.source,
        "rows": rows,
    }


def _publish(run: Run, config: Configuration) -> dict[str, int]:
    build_features(run)
    if config.exposure.source != "none":
        filter_shown(run)
    if run.block_list:
        read_block_list(run)
    for channel in config.recall.channels:
        recall(run, channel)
    find_communities(run)
    ask_about(run)
    fit_merge(run)
    fit_rank(run)
    if is_reranked(config):
        fit_rerank(run)
    recommend(run)
    recommend_segments(run)
    with with_report(run), in_turn():
        return publish(run)

"""The full flow: ingest, features, training, recall, merge, rank, publish."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from prefect import flow
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run

from tasks import settings
from tasks.steps.features import READ_DIGEST, build_features
from tasks.steps.ingest import choose_source, ingest
from tasks.steps.merge import fit_merge
from tasks.steps.publish import abandon, publish
from tasks.steps.rank import DEFAULT_FORMULA, DEFAULT_RANKER, fit_rank, rank
from tasks.steps.recall import DEFAULT_CHANNELS, MAX_USER_EVENTS, recall
from tasks.steps.report import report
from tasks.steps.segments import recommend_segments
from tasks.steps.start import start
from tasks.steps.train import LEARNER, described, train

PUBLISHING = "matinee-publish"
"""The global concurrency limit that shows in Prefect's UI who publishes and who waits."""


@dataclass(frozen=True)
class NightlyConfig:
    """Everything that decides a release besides the log; stored with it."""

    top_n: int = 50
    """Films published a user."""
    candidates: int = 300
    """Candidates recalled a user and channel."""
    channels: tuple[str, ...] = DEFAULT_CHANNELS
    """The channels that recall; their weights are fitted on the newest days."""
    max_user_events: int = MAX_USER_EVENTS
    """Ratings a user that a channel learns from; of a more active one a sample."""
    ranker: str = DEFAULT_RANKER
    """The ranker that orders the candidates, as far as it helps on the held-back days."""
    formula: str = DEFAULT_FORMULA
    """How the tasks of a multi-task ranker become one score."""
    features: str = READ_DIGEST
    """Of the declarations of all features; a release with others is refreshed by the next nightly alone."""
    learner: str = LEARNER
    """The channel that goes on from the parameters of the night before, and learns every hour."""
    learner_config: dict[str, Any] = field(default_factory=lambda: described(LEARNER))
    """What that channel is made of; a release made of something else is not gone on from."""
    seed: int = 0
    """Of every channel that draws at random."""
    objective: str = "daily"
    """What the weights are fitted for: daily (the next days) or next (the very next film)."""


def _run_name() -> str:
    parameters = flow_run.parameters
    return (
        f"nightly {parameters.get('source') or 'log'} as of {parameters.get('as_of') or 'the newest event'}"
    )


@flow(name="nightly", flow_run_name=_run_name, log_prints=False)
def nightly(
    source: str | None = None,
    as_of: str | None = None,
    mode: Literal["cold", "warm"] | None = None,
    top_n: int = 50,
    objective: str = "daily",
    or_synthetic: bool = False,
) -> dict[str, Any]:
    """Turn the log into a published release; what is published stays as it was if anything fails.

    ``mode`` warm goes on from the parameters of the newest full release, cold starts from scratch; by
    default warm where that can be.
    """
    home, config = settings.home(), NightlyConfig(top_n=top_n, objective=objective)
    chosen = choose_source(home, source or settings.source(), or_synthetic)
    ingested = ingest(home, chosen) if chosen else None
    run = start(home, as_of, mode, asdict(config), ingested)
    try:
        build_features(run)
        for channel in config.channels:
            if channel == config.learner:
                train(run, channel, config.candidates, config.objective, config.seed)
            else:
                recall(run, channel, config.candidates, config.objective, config.max_user_events, config.seed)
        fit_merge(run, config.channels, config.objective)
        fit_rank(run, config.channels, config.objective, config.ranker, config.formula, config.seed)
        rank(run, config.channels, config.top_n)
        recommend_segments(run, config.top_n)
        with concurrency(PUBLISHING, occupy=1):
            rows = publish(run, config.top_n)
    except BaseException:
        abandon.fn(run)
        raise
    report(home, rows)
    return {
        "release_id": run.id,
        "seed": config.seed,
        "as_of": run.as_of.isoformat(),
        "source": run.source,
        "rows": rows,
    }

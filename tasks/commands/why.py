"""The way of one film for one user, recomputed from the state of the run that computed the user's list."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.block_list import BlockList
from models.candidates import Candidates
from models.dataset import Floats, Queries
from models.pipeline import arms
from models.pipeline.config import pool_size
from models.pipeline.stages import newcomers_until
from models.pipeline.why import Position, Ranked, Way, way_of
from tasks import settings
from tasks.commands import lookup
from tasks.commands.answer import Answer
from tasks.data import RunData
from tasks.shards import recommend as shard
from tasks.shards.recommend import FittedRun, Variant
from warehouse.errors import MatineeError
from warehouse.releases import queries, serving
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run, is_whole

N_FEATURES = 8
"""Features of the ranker in an answer, of those that weighed most."""


def why(user_id: str, film: str) -> Answer:
    """Rank and score of a film by channel, in the merge and in ranking, and the stage at which it was lost.

    The answer is about the run that computed the user's rows, which an hourly release takes over from an
    earlier one for users without new ratings.

    Raises:
        MatineeError: the user or the film is unknown, nothing is published, or the state of that run is gone.
    """
    home, user, item = settings.home(), lookup.user_of(user_id), lookup.film_of(film)
    if queries.user(home, user) is None:
        raise MatineeError(f"nobody knows user {user}, who gets the list for everybody: what is popular")
    current = serving.published_release(home)
    rows = queries.list_of(home, user)
    if not rows:
        raise MatineeError(f"user {user} has watched every film: there is no list")
    computed_by = rows[0]["release_id"]
    fitted = shard.load(_whole_run(home, computed_by, user))
    published = next((row for row in rows if row["item_id"] == item["item_id"]), None)
    return {
        "user_id": user,
        "item": item,
        "release_id": current,
        "computed_by": computed_by,
        "carried_over": computed_by != current,
        "published": published,
        **_recomputed(fitted, user, item["item_id"], published),
    }


def _whole_run(home: Path, release: str, user: int) -> Run:
    """The run of a release with all that it has learned."""
    if not is_whole(home, release):
        raise MatineeError(
            f"release {release} computed the list of user {user}, and what it had learned is gone: that of "
            "the published release, the one before it and the newest full one stays; run `matinee nightly`"
        )
    lifecycle.fetch(home, release)
    return Run.read(home, release)


def _recomputed(fitted: FittedRun, user: int, item_id: int, published: Answer | None) -> Answer:
    data = fitted.data
    variant = fitted.variants[str(arms.labels(data.config, np.array([user]))[0])]
    config = variant.config
    item = int(np.searchsorted(data.vocabulary.item_ids, item_id))
    if item == len(data.vocabulary.item_ids) or data.vocabulary.item_ids[item] != item_id:
        return _unknown(f"release {data.run.id} did not know the film yet")
    row = int(np.searchsorted(data.target_ids, user))
    of_user = data.queries.rows(row, row + 1)
    with threadpool_limits(1, "blas"):  # as shards are computed
        questions = shard.questions_of(fitted, of_user)
        recalled = shard.recalled_for(fitted, questions, _stored_vectors(data, user))
        before = shard.pool_scores(data, data.run, shard.EARLIER_SCORE, data.target_ids[row : row + 1])
        way = way_of(config, recalled, variant.stages, of_user, fitted.past, item, before)
    seen = _seen(of_user, item)
    return {
        "lost": way.lost,
        "verdict": _verdict(
            way,
            seen,
            _why_blocked(variant.stages.blocked, of_user, item) if way.lost == "blocked" else "",
            config.recall.candidates,
            pool_size(config),
            config.top_n,
        ),
        "agrees": _agrees(way, published),
        "seen": seen,
        "newcomer": _newcomer(variant, of_user),
        "recall": [
            {"channel": channel, **_fields(position), "contribution": way.contributions[channel]}
            for channel, position in way.recalled.items()
        ],
        "merge": way.merged and {**asdict(way.merged), "pool": pool_size(config)},
        "prerank": way.preranked and asdict(way.preranked),
        "rank": way.ranked and _ranking(way.ranked, config.rank.ranker),
        "rerank": way.reranked and asdict(way.reranked),
    }


def _stored_vectors(data: RunData, user: int) -> tuple[Floats, Floats] | None:
    """The vectors of a user and of all items that the channel that learns on left; None where it left none.

    With them nobody waits for its towers, and for torch.
    """
    if (name := data.config.incremental.channel) is None:
        return None
    users = files.read_range(data.run, f"user_embeddings/{name}", ["vector"], "user_id", user, user)
    if users is None or users.is_empty():
        return None
    return _matrix(users), _matrix(files.read_table(data.run, f"item_embeddings/{name}"))


def _matrix(table: pl.DataFrame) -> Floats:
    """(N, D) the vectors of a table."""
    vectors: Floats = table["vector"].explode().to_numpy().reshape(table.height, -1)
    return vectors


def _fields(position: Position | None) -> Answer:
    return {"rank": None, "score": None} if position is None else asdict(position)


def _ranking(ranked: Ranked, ranker: str) -> Answer:
    """The rank that decides, the ranker's own, and the features that weighed most there."""
    features = [
        {"feature": name, "contribution": value} for name, value in list(ranked.features.items())[:N_FEATURES]
    ]
    by_ranker = {"ranker": ranker, "blend_weight": ranked.blend_weight, "features": features}
    return {**asdict(ranked.final), **by_ranker, "alone": ranked.alone and asdict(ranked.alone)}


def _seen(of_user: Queries, item: int) -> Answer | None:
    """The user's rating of the film, and when; None without one."""
    log, begin, end = of_user.log, int(of_user.start[0]), int(of_user.end[0])
    found = np.flatnonzero(log.item_idx[begin:end] == item)
    if not len(found):
        return None
    event = begin + int(found[-1])
    return {"rating": float(log.rating[event]), "at": str(np.datetime64(int(log.at[event]), "s"))}


def _newcomer(variant: Variant, of_user: Queries) -> Answer | None:
    """The number of ratings of a newcomer, and which channel alone answers until how many; else None."""
    until = newcomers_until(variant.config, variant.stages.merge.newcomers_until)
    if not of_user.with_fewer_than(until)[0]:
        return None
    n_ratings = int(of_user.end[0] - of_user.start[0])
    return {"n_ratings": n_ratings, "until": until, "channel": variant.config.merge.newcomers}


def _why_blocked(blocked: BlockList | None, of_user: Queries, item: int) -> str:
    """The reason why an item is blocked for a user."""
    assert blocked is not None
    item_of = np.array([[item]], dtype=np.int32)
    if blocked.requested(Candidates(item_of, np.zeros((1, 1), dtype=np.float32)), of_user).any():
        return "the user asked not to see it (block_list.requests)"
    return "the user disliked its genre often (block_list.genre_dislikes)"


def _agrees(way: Way, published: Answer | None) -> bool:
    """True if the way ends where the film is published, or is not."""
    if published is None or way.listed is None:
        return published is None and way.listed is None
    return asdict(way.listed) == {name: published[name] for name in ("rank", "score")}


def _verdict(way: Way, seen: Answer | None, blocked: str, candidates: int, pool: int, top_n: int) -> str:
    """The way in a sentence; ``blocked`` says why it is, if it is."""
    if seen is not None:
        return f"rated {seen['rating']:g} on {seen['at'][:10]}: what a user has watched is left out"
    if way.lost == "blocked":
        return f"{blocked}: left out"
    if way.lost == "shown":
        return "shown lately and not watched: left out (exposure.window_days)"
    found = sorted((at.rank, channel) for channel, at in way.recalled.items() if at is not None)
    by = [f"{channel} at {rank}" for rank, channel in found]
    parts = [f"recalled by {_listed(by)}" if by else f"no channel has it among its {candidates} candidates"]
    if way.lost == "recall":
        return parts[0]
    assert way.merged is not None
    parts.append(f"merged at {way.merged.rank}")
    if way.lost == "merge":
        return f"{', '.join(parts)}: outside the pool of {pool}"
    if way.preranked is not None:
        parts.append(f"pre-ranked at {way.preranked.rank}")
    if way.lost == "prerank":
        return f"{', '.join(parts)}: not among the {pool} that are ranked"
    assert way.ranked is not None
    parts.append(f"ranked at {way.ranked.final.rank}")
    if way.lost == "rank":
        return f"{', '.join(parts)}: too low for the {top_n} of the list"
    if way.lost == "rerank":
        return f"{', '.join(parts)}: re-ranking chose others for the {top_n} of the list"
    if way.reranked is not None:
        parts.append(f"re-ranked at {way.reranked.rank}")
    if way.lost == "explore":
        return f"{', '.join(parts)}: a film drawn at random took its place (exploration.rate)"
    if way.is_drawn:
        return f"{', '.join(parts)}: drawn at random into the list (exploration.rate)"
    return f"{', '.join(parts)}: in the list"


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _unknown(verdict: str) -> Answer:
    nothing: dict[str, Any] = dict.fromkeys(("seen", "newcomer", "merge", "prerank", "rank", "rerank"))
    return {"lost": "recall", "verdict": verdict, "agrees": True, "recall": [], **nothing}

"""Queues of films that earlier runs ranked and did not show: the parent's, and what the parent ranked."""

from typing import Any

import numpy as np

from models.candidates import Candidates
from models.dataset import Ints, Mask, queries_at
from models.pipeline.config import build_channel
from models.recall.cache import Cache
from tasks.data import RunData, epoch, ranked_before
from tasks.shards.recommend import shown_of
from tasks.states import has_state, read_state


def cached(data: RunData, channel: str) -> Cache:
    """The queues of a run: empty where it goes on from no other.

    What was shown leaves: by the filters of the run, or where none says, what the parent published.
    """
    model = _queues(data, channel)
    if data.run.parent_id is None:
        return model
    published = _ranked(data, published=True)
    ranked = _ranked(data, published=False)
    shown = shown_of(data)
    if shown is not None:
        ranked = np.concatenate([published, ranked], axis=1)
    model.push(ranked, epoch(data.parent.as_of))
    item = model.state["item"]
    if shown is None:
        return model.evict(_among(item, published), data.dataset.as_of)
    listed = Candidates(item, np.zeros(item.shape, dtype=np.float32))
    return model.evict(shown.among(listed, queries_at(data.dataset)), data.dataset.as_of)


def cached_before_holdout(data: RunData, channel: str) -> Cache:
    """The queues for the holdout's queries: empty if the parent saw some of what they ask for.

    Where those are the newest films of each user it did: they are of any time.
    """
    assert data.holdout is not None
    start = data.holdout.train.as_of
    is_new = bool((data.holdout.queries.at >= start).all())
    if data.run.parent_id is None or not is_new or epoch(data.parent.as_of) > start:
        return _empty(data, channel)
    model = _queues(data, channel).push(_ranked(data, published=False), epoch(data.parent.as_of))
    return model.evict(_among(model.state["item"], _ranked(data, published=True)), start)


def _empty(data: RunData, channel: str) -> Cache:
    model: Any = build_channel(data.config, channel)
    cache: Cache = model.fit(data.dataset)
    return cache


def _queues(data: RunData, channel: str) -> Cache:
    """The queues as the parent left them, with rows for whoever is new since; empty if it had none."""
    model = _empty(data, channel)
    if data.run.parent_id is None or not has_state(data.parent, channel):
        return model
    state, then = read_state(data.parent, channel)
    if state.keys() != model.state.keys():
        return model  # a channel of another kind had this name
    model.state, now = state, data.vocabulary
    return model.grow(then.user_positions(now), then.item_positions(now), len(now.user_ids))


def _ranked(data: RunData, published: bool) -> Ints:
    found = ranked_before(data, published)
    return np.empty((data.dataset.n_users, 0), dtype=np.int32) if found is None else found


def _among(item: Ints, others: Ints) -> Mask:
    """(U, n) which items (U, n) are among those of the same row (U, m)."""
    row = np.arange(len(item), dtype=np.int64)[:, None]
    width = int(max(item.max(initial=0), others.max(initial=0))) + 2
    found: Mask = np.isin(row * width + item, (row * width + others)[others >= 0])
    return found

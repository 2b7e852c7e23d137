"""Features of a film by groups: how the asking user's group rated it, how its kind or franchise is rated.

A group of users are those of the same gender, age or both; a cohort of films those of a kind (a genre and a
decade) or of a franchise. Either way ratings are grouped and sorted by time, and what stood before a moment
is looked up as that of single films is: see ``models.features.statistics``.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from models.bounds import NonNegative, Positive
from models.dataset import Dataset, Doubles, Ints, Longs
from models.features.compute import Pairs
from models.features.statistics import Grouped, Past, decayed_count, grouped, of_items, smoothed_mean
from models.kinds import kinds_of_items

Attributes = Annotated[list[Literal["gender", "age", "occupation", "region"]], Field(min_length=1)]
"""Attributes of users that make a group, the widest group first."""

Cohort = Literal["kind", "franchise"]
"""Films that are looked at together: those of a genre and a decade, or those of a franchise."""


def group_rating(pairs: Pairs, attributes: Attributes, prior: NonNegative) -> Doubles:
    """The film's mean rating by users of the asking user's group.

    Groups are made by the first attribute, the first two, and so on; each mean is smoothed by ``prior``
    pseudo-ratings at that of the wider group, the widest being everybody, whose mean is smoothed likewise to
    that of all ratings. Where an attribute is not known, the wider group's is taken.
    """
    found = smoothed_mean(pairs.past_of_items, prior)
    for number in range(1, len(attributes) + 1):
        past = _past_of_group(pairs, attributes[:number], with_item=True)
        with np.errstate(invalid="ignore"):
            found = (past.totals[:, 0] + prior * found) / (past.count + prior)
    return found


def group_lift(pairs: Pairs, attributes: Attributes, prior: Positive) -> Doubles:
    """How much more often the asking user's group rated the film than everybody did; 1: as often.

    The fraction of the group's ratings that are of the film, over that of everybody; smoothed like
    ``group_rating``. nan for a film without a rating.
    """
    all_ratings = pairs.past.by_item.everyone
    total = all_ratings.n_ratings(pairs.queries.at[pairs.query])
    with np.errstate(invalid="ignore", divide="ignore"):
        everybody = np.where(pairs.past_of_items.count > 0, pairs.past_of_items.count / total, np.nan)
    found = everybody
    for number in range(1, len(attributes) + 1):
        of_film = _past_of_group(pairs, attributes[:number], with_item=True).count
        of_group = _past_of_group(pairs, attributes[:number], with_item=False).count
        found = (of_film + prior * found) / (of_group + prior)
    lift: Doubles = found / everybody
    return lift


def cohort_rating(pairs: Pairs, cohort: Cohort, prior: NonNegative) -> Doubles:
    """The mean rating of the other films of the film's cohort, with ``prior`` at the mean of all ratings.

    The mean over its kinds; nan for a film that is of no franchise.
    """
    overall = pairs.past.by_item.everyone.mean(pairs.queries.at)[pairs.query]

    def mean_of_others(pair: Longs, whole: Past, own: Past, others: Doubles) -> Doubles:
        total, count = whole.totals[:, 0] - own.totals[:, 0], whole.count - own.count
        with np.errstate(invalid="ignore"):
            smoothed: Doubles = (total + prior * overall[pair]) / (count + prior)
        return smoothed

    return _mean_over_cohorts(pairs, cohort, mean_of_others)


def cohort_count(pairs: Pairs, cohort: Cohort, half_life_days: Positive) -> Doubles:
    """Ratings of each other film of the film's cohort, fading with their age; the mean over its kinds."""

    def count_of_others(pair: Longs, whole: Past, own: Past, others: Doubles) -> Doubles:
        count = decayed_count(whole, half_life_days) - decayed_count(own, half_life_days)
        each: Doubles = np.maximum(count, 0) / np.maximum(others, 1)
        return each

    return _mean_over_cohorts(pairs, cohort, count_of_others)


def _past_of_group(pairs: Pairs, attributes: Sequence[str], with_item: bool) -> Past:
    """The ratings by the group of the asking user before the query: of the item, or of all items."""
    log, queries = pairs.past.log, pairs.queries
    code, n_codes = _codes(log, attributes)

    def key(user_code: Longs, item: Longs) -> Longs:
        of_item = item * n_codes + user_code if with_item else user_code
        return np.where(user_code >= 0, of_item, -1)

    def group() -> Grouped:
        everyone = pairs.past.by_item.everyone
        user, item = log.user_idx[everyone.row], log.item_idx[everyone.row].astype(np.int64)
        return grouped(log, everyone, everyone.row, key(code[user], item))

    found = pairs.past.group("/".join([*attributes, "item" if with_item else ""]), group)
    asking = np.append(code, -1)[queries.user_idx][pairs.query]
    return found.past(key(asking, pairs.item.astype(np.int64)), queries.at[pairs.query])


def _codes(log: Dataset, attributes: Sequence[str]) -> tuple[Longs, int]:
    """(U,) a code for each combination of the attributes, -1 where one is not known, and their number."""
    code, n_codes = np.zeros(log.n_users, dtype=np.int64), 1
    for name in attributes:
        own = np.asarray(log.users.get(name, np.full(log.n_users, -1)), dtype=np.int64)
        n_codes *= int(own.max(initial=0)) + 1
        code = np.where((code >= 0) & (own >= 0), code * (int(own.max(initial=0)) + 1) + own, -1)
    return code, n_codes


def _mean_over_cohorts(
    pairs: Pairs, cohort: Cohort, of_others: Callable[[Longs, Past, Past, Doubles], Doubles]
) -> Doubles:
    """(N,) the mean over the cohorts of each item of a value, nan for an item in none.

    The value is of the pair (M,), the ratings of its cohort and of the item alone before the query, and the
    number of the cohort's other items.
    """
    log, past = pairs.past.log, pairs.past
    members = _cohorts(log, cohort)  # (I, C)

    def group() -> Grouped:
        everyone = past.by_item.everyone
        number, key = _expanded(members, log.item_idx[everyone.row])
        return grouped(log, everyone, everyone.row[number], key)

    pair, key = _expanded(members, pairs.item)
    at = pairs.queries.at[pairs.query[pair]]
    whole, own = past.group(cohort, group).past(key, at), of_items(past.by_item, pairs.item[pair], at)
    others = (np.bincount(members.indices, minlength=members.shape[1])[key] - 1).astype(np.float64)
    count = np.bincount(pair, minlength=len(pairs.item))
    with np.errstate(invalid="ignore"):
        mean: Doubles = np.bincount(pair, of_others(pair, whole, own, others), len(pairs.item)) / count
    return mean


def _cohorts(log: Dataset, cohort: Cohort) -> csr_array:
    """(I, C) the cohorts of each item."""
    if cohort == "kind":
        return kinds_of_items(log)
    franchise = np.asarray(log.items.get("franchise", np.full(log.n_items, -1)))
    (item,) = np.nonzero(franchise >= 0)
    shape = log.n_items, int(franchise.max(initial=-1)) + 1
    return csr_array((np.ones(len(item)), (item, franchise[item])), shape=shape)


def _expanded(members: csr_array, item: Ints) -> tuple[Longs, Longs]:
    """(M,) the number of each of some items (N,) once for each cohort that it is in, and the cohort."""
    begin, count = members.indptr[item], np.diff(members.indptr)[item]
    number = np.repeat(np.arange(len(item)), count)
    offset = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count)
    return number, members.indices[begin[number] + offset].astype(np.int64)

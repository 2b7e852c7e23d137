"""Features of a query and an item by pages: what others rated in the seconds of the user's newest films.

Who rates films goes through the pages of a site and sends the ratings of a page at once: events of one second
were on one page, in the order in which they stood there, and films of one page or of two successive ones
mostly answer one search. Three parts are counted, of all ratings of a newest film by others:

- same: the item is on the same page, at most 50 ratings away
- after: it stands there after the film
- next: it is among the next 12 ratings after that page, within half an hour
"""

from typing import Literal, get_args

import numpy as np
from numba import njit, prange
from pydantic import PositiveInt

from models.bounds import Positive, PositiveFraction
from models.dataset import DAY, Doubles, Ints, Longs, search
from models.features.compute import HALF_LIVES, QUERIES, Pairs

Part = Literal["same", "after", "next"]
PARTS: tuple[Part, ...] = get_args(Part)

AHEAD, SOON = 12, 1_800
"""Ratings, and seconds, after a page within which an item is next."""

BESIDE = 50
"""Ratings of a page on either side of the film's that count: more where a log's clock shows only days."""


def page_counts(
    pairs: Pairs,
    part: Part,
    half_life_days: Positive,
    newest: PositiveInt = 1,
    fading: PositiveFraction = 1.0,
    raters: PositiveInt = 500,
) -> Doubles:
    """How often others rated the item on the page of one of the ``newest`` films of the history, or next.

    For each of those films the fraction of the ratings by other users that have the item in that ``part``,
    one rating that has none added; summed with weights 1, ``fading``, ``fading ** 2`` from the newest film
    back. Ratings halve in weight with every half-life between them and the query, which may be before them
    if it sees them all the same (``PastIndex.visible_until``); on either side the nearest ``raters`` count.
    """
    key = newest, fading, half_life_days, raters
    if key not in pairs.pages:
        pairs.pages[key] = _counted(pairs, newest, fading, half_life_days * DAY, raters)
    counts: Doubles = pairs.pages[key][:, PARTS.index(part)]
    return counts


def _counted(pairs: Pairs, newest: int, fading: float, half_life: float, raters: int) -> Doubles:
    """(N, 3) the sums of PARTS."""
    log, queries, of_item = pairs.queries.log, pairs.queries, pairs.past.by_item
    return _counts(
        (queries.user_idx, queries.start, queries.end, queries.at),
        (log.item_idx, log.user_idx, log.at, log.indptr, pairs.past.page_ptr, pairs.past.page_of),
        (of_item.indptr, pairs.past.item_row, of_item.at),
        (pairs.indptr, pairs.item),
        (newest, raters, pairs.past.visible_until),
        fading,
        half_life,
    )


@njit(parallel=True, cache=True)
def _counts(
    queries: tuple[Ints, Longs, Longs, Longs],
    log: tuple[Ints, Ints, Longs, Longs, Longs, Ints],
    of_item: tuple[Longs, Ints, Longs],
    pairs: tuple[Longs, Ints],
    bounds: tuple[int, int, int],
    fading: float,
    half_life: float,
) -> Doubles:
    user, start, end, moment = queries
    item_ptr = of_item[0]
    pair_ptr, item = pairs
    newest, raters, visible_until = bounds
    found = np.zeros((len(item), 3))
    for chunk in prange((len(start) + QUERIES - 1) // QUERIES):
        row_of = np.full(len(item_ptr) - 1, -1)
        for query in range(chunk * QUERIES, min((chunk + 1) * QUERIES, len(start))):
            begin, stop = pair_ptr[query], pair_ptr[query + 1]
            for row in range(begin, stop):
                row_of[item[row]] = row - begin
            weight = 1.0
            for event in range(end[query] - 1, max(start[query], end[query] - newest) - 1, -1):
                near = np.zeros((stop - begin, 3))
                of_query = user[query], moment[query], max(moment[query], visible_until)
                total = _count_film(log[0][event], of_query, log, of_item, row_of, raters, half_life, near)
                found[begin:stop] += weight / total * near
                weight *= fading
            for row in range(begin, stop):
                row_of[item[row]] = -1
    return found


@njit(cache=True)
def _count_film(
    film: int,
    of_query: tuple[int, int, int],
    log: tuple[Ints, Ints, Longs, Longs, Longs, Ints],
    of_item: tuple[Longs, Ints, Longs],
    row_of: Longs,
    raters: int,
    half_life: float,
    near: Doubles,
) -> float:
    """Add what others rated near one film; returns the weights of their ratings of it, and 1."""
    me, now, until = of_query
    log_user = log[1]
    item_ptr, events, item_at = of_item
    first_later = search(item_at, item_ptr[film], item_ptr[film + 1], now)
    total = 1.0
    for step in (-1, 1):
        number = first_later - 1 if step < 0 else first_later
        left = raters
        while left > 0 and item_ptr[film] <= number < item_ptr[film + 1]:
            event, age = events[number], abs(now - item_at[number])
            if age > HALF_LIVES * half_life or item_at[number] >= until:
                break
            number += step
            if log_user[event] == me:
                continue
            left -= 1
            weight = 0.5 ** (age / half_life)
            total += weight
            _add_page(event, weight, until, log, row_of, near)
    return total


@njit(cache=True)
def _add_page(
    event: int,
    weight: float,
    until: int,
    log: tuple[Ints, Ints, Longs, Longs, Longs, Ints],
    row_of: Longs,
    near: Doubles,
) -> None:
    """Add the weight of one rating to the items on its page and the next ratings."""
    log_item, log_user, at, user_ptr, page_ptr, page_of = log
    first, last = page_ptr[page_of[event]], page_ptr[page_of[event] + 1]
    for row in range(max(first, event - BESIDE), min(last, event + BESIDE + 1)):
        number = row_of[log_item[row]]
        if number >= 0:
            near[number, 0] += weight
            if row > event:
                near[number, 1] += weight
    for row in range(last, min(user_ptr[log_user[event] + 1], last + AHEAD)):
        if at[row] - at[event] >= SOON or at[row] >= until:
            break
        number = row_of[log_item[row]]
        if number >= 0:
            near[number, 2] += weight

"""Prices of films that keep a cap on how many users' first pages one film is on.

Lists with a cap are an assignment of films to users, best in total score under the constraint that no film
has more than ``fraction`` of the users. Its dual gives every film a price, the same for all users, which is 0
but for the films that the cap is about; with the prices given, every user's list can be chosen alone. So
prices are fitted once, on some users, and lists are then made shard by shard. Users who want a film most keep
it: a cap that filters would take it from whoever comes last.

The price of a film on the first pages of a fraction f of the users moves by log(f / cap), the log odds by
which it is wanted too much or too little: a subgradient method for the dual (Bertsekas 1988,
https://doi.org/10.1007/BF02186476, for assignments) in the unit of the scores. In the end prices rise alone,
until no film is above the cap.
"""

from collections.abc import Callable

import numpy as np

from models.dataset import Floats, Ints

SETTLING, MAX_ROUNDS = 15, 200
"""Rounds in which prices fall too; rounds after which they stay, though a film may be above the cap."""

STEP, LEAST_STEP = 0.5, 0.02
"""Fraction of the log odds that a price moves by in a round, as prices of many films move at once; the least
rise, in log odds."""


def fit_prices(pages: Callable[[Floats], Ints], start: Floats, fraction: float) -> Floats:
    """(I,) prices of at least 0 under which no film is on more than a ``fraction`` of the pages, or on one.

    ``pages`` gives the pages (B, n) of all users for prices (I,), each padded with -1. Prices begin with
    ``start``.
    """
    price = start if fraction < 1 else np.zeros_like(start)
    for number in range(MAX_ROUNDS if fraction < 1 else 0):
        item = pages(price)
        cap = max(1.0, fraction * len(item))  # a single page is no crowd
        count = np.bincount(item[item >= 0], minlength=len(price))
        above, falling = count > cap, (count <= cap) & (price > 0) & (number < SETTLING)
        if not (above | falling).any():
            break
        excess = STEP * np.log(np.maximum(count, 1) / cap)
        change = np.where(above, np.maximum(excess, LEAST_STEP), np.where(falling, excess, 0))
        price = np.maximum(price + change, 0).astype(np.float32)
    return price

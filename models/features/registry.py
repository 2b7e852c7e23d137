"""The functions that features.toml names, by whose features they are."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from models.dataset import Doubles
from models.features import calendar, compute, groups, pages, taste
from models.features.compute import Pairs

OF_QUERY: dict[str, Callable[..., NDArray[Any]]] = {
    "hour": compute.hour,
    "weekday": compute.weekday,
    "holiday": calendar.holiday,
    "newest_items": compute.newest_items,
    "newest_years": taste.newest_years,
    "newest_genre_sets": taste.newest_genre_sets,
    "minutes_since": compute.minutes_since,
    "newest_rating": compute.newest_rating,
    "median_year": taste.median_year,
}
"""Functions of queries."""

OF_PAST: dict[str, Callable[..., NDArray[Any]]] = {"top_genres": taste.top_genres}
"""Functions of pairs, a row a query, that read what everybody rated before it."""

OF_PAIR: dict[str, Callable[..., Doubles]] = {
    "index_distance": compute.index_distance,
    "year_distance": compute.year_distance,
    "genre_match": compute.genre_match,
    "genre_rating": taste.genre_rating,
    "genre_liked": taste.genre_liked,
    "franchise_watched": taste.franchise_watched,
    "group_rating": groups.group_rating,
    "group_lift": groups.group_lift,
    "cohort_rating": groups.cohort_rating,
    "cohort_count": groups.cohort_count,
    "rating_gap": compute.rating_gap,
    "n_channels": compute.n_channels,
    "followers": compute.followers,
    "page_counts": pages.page_counts,
}
"""Functions of pairs."""

OF_LISTS: dict[str, Callable[[Pairs], NDArray[Any]]] = {
    "score": compute.score,
    "gap": compute.gap,
    "discount": compute.discount,
}
"""Functions of pairs, a column a list."""

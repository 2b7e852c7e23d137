"""Kinds of films: a genre and a decade."""

import numpy as np
from scipy.sparse import csr_array, diags_array

from models.dataset import Dataset


def kinds_of_items(dataset: Dataset) -> csr_array:
    """The kinds (genre x decade) of each item, (I, C) float32, each row summing to 1.

    A film without a genre, or without a year, has a kind of its own for that; so every film has one.
    """
    nothing = np.zeros((dataset.n_items, 0), dtype=np.bool_)
    genres = np.asarray(dataset.items.get("genres", nothing), dtype=np.bool_)
    genres = np.column_stack([genres, ~genres.any(1)])  # (I, G + 1), the last column for no genre
    year = np.asarray(dataset.items.get("year", np.full(dataset.n_items, -1)))
    decade = np.where(year < 0, 0, 1 + year // 10).astype(np.int64)
    item, genre = np.nonzero(genres)
    _, kind = np.unique(genre * (int(decade.max(initial=0)) + 1) + decade[item], return_inverse=True)
    kinds = csr_array(
        (np.ones(len(item)), (item, kind)), shape=(dataset.n_items, int(kind.max(initial=-1)) + 1)
    )
    return (diags_array(1 / genres.sum(1)) @ kinds).tocsr().astype(np.float32)

"""Nearest vectors by inner product or cosine: exact while the catalogue is small, approximate beyond (faiss).

Flat search is exact: products of blocks of queries with all vectors. HNSW (Malkov & Yashunin 2018, arXiv
1603.09320) searches a graph of near neighbours and suits up to about a million vectors; IVF (Jégou et al.
2011) searches the nearest cells of a k-means partition, builds faster and holds less. The loss by
approximation is measured by ``recall_loss``.

Seen items and ties are exact whatever the index: a query whose last listed item ties with the last item
fetched, or that has too few left, is searched again for twice as many.

A query's list depends neither on the other queries nor on the number of threads: faiss takes products of one
pair of vectors at a time, cells and graphs are made by one thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import faiss
import numpy as np
from numba import njit, prange
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.bounds import only_where
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Floats, Ints, Longs, Mask, Queries
from models.top_n import best_unseen, products

IndexKind = Literal["flat", "hnsw", "ivf"]

BLOCK = 1024
"""Queries searched at once: what is fetched for them, 12 bytes an item, is held together."""


class AnnConfig(Config):
    """The kind of index, by faiss's own names, and how hard it searches."""

    kind: IndexKind | None = None
    """Kind of the index; None chooses by the number of vectors."""
    metric: Literal["inner_product", "cosine"] = "inner_product"
    """Similarity that the nearest vectors are the most similar by."""
    flat_up_to: NonNegativeInt = 50_000
    """Largest number of vectors searched exactly, unless the kind is set."""
    hnsw_up_to: NonNegativeInt = 1_000_000
    """Largest number of vectors searched by HNSW, unless the kind is set; beyond it is IVF."""
    M: Annotated[int, Field(ge=2)] = 32
    """Neighbours that HNSW links a vector to."""
    efConstruction: PositiveInt = 80  # noqa: N815
    """Candidates that HNSW weighs when it links a vector."""
    efSearch: PositiveInt = 256  # noqa: N815
    """Candidates that HNSW holds while it searches, at least."""
    nlist: PositiveInt | None = None
    """Cells of IVF; None for four times the square root of the number of vectors."""
    nprobe: PositiveInt | None = None
    """Cells of IVF that a search looks into; None for a twentieth of them."""
    seed: int = 0
    """Seed of the k-means that makes the cells of IVF."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        only_where(self.kind is None, "kind is not set", self, "flat_up_to", "hnsw_up_to")
        hnsw, ivf = self.kind in (None, "hnsw"), self.kind in (None, "ivf")
        only_where(hnsw, "kind is hnsw", self, "M", "efConstruction", "efSearch")
        only_where(ivf, "kind is ivf", self, "nlist", "nprobe")
        return self

    def kind_for(self, n_vectors: int) -> IndexKind:
        """The kind of index for so many vectors."""
        if self.kind is not None:
            return self.kind
        if n_vectors <= self.flat_up_to:
            return "flat"
        return "hnsw" if n_vectors <= self.hnsw_up_to else "ivf"


@dataclass(frozen=True)
class Index:
    """The vectors of the items that have one, and faiss's index of them where the search is approximate."""

    vectors: Floats  # (V, D)
    item: Ints  # (V,) the item of each vector, ascending
    n_items: int
    config: AnnConfig
    faiss: faiss.Index | None


def build_index(vectors: Floats, config: AnnConfig = AnnConfig()) -> Index:
    """Index the rows of (I, D) vectors, one an item; an all-zero row is no candidate for anybody."""
    item = np.flatnonzero(vectors.any(axis=1)).astype(np.int32)
    indexed, kind = _prepared(vectors[item], config), config.kind_for(len(item))
    if kind == "flat" or len(item) == 0:
        return Index(indexed, item, len(vectors), config, None)
    if config.metric == "inner_product":
        indexed = _of_equal_length(indexed)
    approximate = _hnsw(indexed, config) if kind == "hnsw" else _ivf(indexed, config)
    return Index(indexed, item, len(vectors), config, approximate)


def recommend_nearest(
    index: Index, vectors: Floats, queries: Queries, n: int, filter_seen: bool = True
) -> Candidates:
    """The n items nearest to each query's vector (B, D); a zero vector gets only padding."""
    start, end = (queries.start, queries.end) if filter_seen else (queries.start, queries.start)
    return Candidates(*_search(index, vectors, n, start, end, queries.log.item_idx))


def nearest_neighbours(index: Index, vectors: Floats, n: int) -> Neighbours:
    """The n items nearest to each item's vector (I, D), itself left out."""
    item = np.arange(len(vectors), dtype=np.int32)
    start = item.astype(np.int64)
    return Neighbours(*_search(index, vectors, n, start, start + 1, item))


def nearest(index: Index, vectors: Floats, n: int) -> Neighbours:
    """The n items nearest to each of any vectors (B, D)."""
    nothing = np.zeros(len(vectors), dtype=np.int64)
    return Neighbours(*_search(index, vectors, n, nothing, nothing, np.empty(0, dtype=np.int32)))


def recall_loss(exact: Neighbours, found: Neighbours) -> float:
    """Fraction of the exact nearest items of B queries that an approximate search did not find."""
    n_items = 1 + max(int(exact.item.max(initial=0)), int(found.item.max(initial=0)))
    wanted, row = exact.item >= 0, n_items * np.arange(len(exact.item))[:, None]
    missed = ~np.isin((row + exact.item)[wanted], (row + found.item)[found.item >= 0])
    return float(missed.sum() / max(1, missed.size))


def _prepared(vectors: Floats, config: AnnConfig) -> Floats:
    """Contiguous float32, of length 1 for cosine."""
    prepared = np.array(vectors, dtype=np.float32, order="C")
    if config.metric == "cosine":
        faiss.normalize_L2(prepared)
    return prepared


def _of_equal_length(vectors: Floats) -> Floats:
    """One more coordinate makes all vectors as long as the longest (Bachrach et al. 2014).

    Queries have 0 there, so inner products stay as they are; but now the near are also the alike, which
    graphs and cells rely on.
    """
    square = np.einsum("id,id->i", vectors, vectors)
    return np.column_stack([vectors, np.sqrt(square.max(initial=0) - square)])


def _hnsw(vectors: Floats, config: AnnConfig) -> faiss.Index:
    index = faiss.IndexHNSWFlat(vectors.shape[1], config.M, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = config.efConstruction
    with _one_thread():
        index.add(vectors)
    return index


def _ivf(vectors: Floats, config: AnnConfig) -> faiss.Index:
    nlist = min(len(vectors), config.nlist or round(4 * len(vectors) ** 0.5))
    cells = faiss.IndexFlatIP(vectors.shape[1])
    index = faiss.IndexIVFFlat(cells, vectors.shape[1], nlist, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = config.seed
    index.cp.min_points_per_centroid = 1  # cells of a small catalogue are small: no warning
    with _one_thread():
        index.train(vectors)
    index.add(vectors)
    index.nprobe = min(nlist, config.nprobe or max(1, round(nlist / 20)))
    return index


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads would link the vectors of a graph, and add up those of a cell, in an order that changes."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


@contextmanager
def _pair_by_pair() -> Iterator[None]:
    """Products of two vectors at a time: how a product of matrices rounds depends on all that it is of."""
    least = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = np.iinfo(np.int32).max
    try:
        yield
    finally:
        faiss.cvar.distance_compute_blas_threshold = least


def _search(
    index: Index, vectors: Floats, n: int, start: Longs, end: Longs, seen: Ints
) -> tuple[Ints, Floats]:
    """Items and scores (B, n); ``seen[start[b]:end[b]]`` are left out for query b."""
    items = np.full((len(vectors), n), -1, dtype=np.int32)
    scores = np.full((len(vectors), n), -np.inf, dtype=np.float32)
    found = len(index.item) and n
    for begin in range(0, len(vectors) if found else 0, BLOCK):
        rows = slice(begin, begin + BLOCK)
        block = vectors[rows], start[rows], end[rows], seen, items[rows], scores[rows]
        if index.faiss is None:
            _search_exactly(index, *block)
        else:
            with _pair_by_pair():
                _search_block(index, index.faiss, *block)
    return items, scores


def _search_exactly(
    index: Index, vectors: Floats, start: Longs, end: Longs, seen: Ints, items: Ints, scores: Floats
) -> None:
    """Fill items and scores (b, n), which are padding so far."""
    nonzero = vectors.any(axis=1)
    every = np.full((int(nonzero.sum()), index.n_items), -np.inf, dtype=np.float32)
    every[:, index.item] = products(_prepared(vectors[nonzero], index.config), index.vectors)
    items[nonzero], scores[nonzero] = best_unseen(every, start[nonzero], end[nonzero], seen, items.shape[1])


def _search_block(
    index: Index,
    approximate: faiss.Index,
    vectors: Floats,
    start: Longs,
    end: Longs,
    seen: Ints,
    items: Ints,
    scores: Floats,
) -> None:
    """Fill items and scores (b, n), which are padding so far."""
    n, total = items.shape[1], len(index.item)
    prepared = _prepared(vectors, index.config)
    prepared = np.pad(prepared, [(0, 0), (0, approximate.d - prepared.shape[1])])
    pending = np.flatnonzero(vectors.any(axis=1))
    # How many to fetch so that n remain, and one more to tell that they do not tie with what follows.
    width = np.minimum(n + 1 + end - start, total)
    while len(pending):
        fetched = int(min(2 * width[pending].min(), total))
        due = pending[width[pending] <= fetched]
        if isinstance(approximate, faiss.IndexHNSWFlat):
            approximate.hnsw.efSearch = max(index.config.efSearch, fetched)
        value, position = approximate.search(prepared[due], fetched)
        item = np.where(position >= 0, index.item[position], -1).astype(np.int32)
        settled = _list_unseen(item, value, due, start, end, seen, items, scores)
        width[due] = np.where(settled | (fetched == total), 0, min(2 * fetched, total))
        pending = pending[width[pending] > 0]


@njit(parallel=True, cache=True)
def _list_unseen(
    found: Ints,
    value: Floats,
    rows: Longs,
    start: Longs,
    end: Longs,
    seen: Ints,
    items: Ints,
    scores: Floats,
) -> Mask:
    """Fill items and scores (B, n) of ``rows`` from the nearest found for them (rows, fetched), best first.

    Returns for each row whether fetching more could change nothing.
    """
    n, fetched = items.shape[1], found.shape[1]
    settled = np.zeros(len(rows), dtype=np.bool_)
    for number in prange(len(rows)):
        row, item, score = rows[number], found[number], value[number]
        for rank0 in range(1, fetched):
            # Ties by ascending item.
            while rank0 > 0 and score[rank0] == score[rank0 - 1] and item[rank0] < item[rank0 - 1]:
                item[rank0], item[rank0 - 1] = item[rank0 - 1], item[rank0]
                rank0 -= 1
        history = np.sort(seen[start[row] : end[row]])
        size = 0
        for rank0 in range(fetched):
            if size == n or item[rank0] < 0:
                break
            at = np.searchsorted(history, item[rank0])
            if at == len(history) or history[at] != item[rank0]:
                items[row, size], scores[row, size] = item[rank0], score[rank0]
                size += 1
        settled[number] = item[-1] < 0 or (size == n and scores[row, n - 1] > score[-1])
    return settled

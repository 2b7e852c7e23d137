"""Matrix factorisation: a vector for each user and item, by four trainers and for two uses.

- ``Als``: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008,
  https://doi.org/10.1109/ICDM.2008.22), trained by the library ``implicit``.
- ``Bpr``: Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from
  Implicit Feedback" (UAI 2009, https://arxiv.org/abs/1205.2618), trained by ``implicit``.
- ``Ratings`` and ``Sgd``: the latent factor model with biases of Koren, Bell and Volinsky, "Matrix
  Factorization Techniques for Recommender Systems" (Computer 2009, https://doi.org/10.1109/MC.2009.263), by
  alternating least squares or by stochastic gradients:  r_ui = mean + b_u + b_i + p_u q_i.

The item vectors are learned. The vector of a user is folded in from the history of the query, so that later
histories and users unknown to the fit are served alike, newer events heavier. ``u2i`` scores an item by its
inner product with that vector, ``i2i`` by its cosines to the items of the history.
"""

from typing import Annotated, Literal, Self

import numpy as np
from numba import njit, prange
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.bounds import NonNegative, Positive
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Queries, queries_at
from models.embeddings.ann import AnnConfig, Index, build_index, nearest_neighbours, recommend_nearest
from models.history import FOREVER, decayed_history, interactions, reach
from models.recall.contract import Tables
from models.stars import Stars
from models.state import Derived, State
from models.unit_length import of_unit_length


class Als(Config):
    """Implicit ALS: a pair not rated is a 0 of confidence 1, a rated one a 1 of confidence 1 + alpha."""

    kind: Literal["als"] = "als"
    """Name of this trainer."""
    embedding_dim: PositiveInt = 128
    """Length of a vector."""
    alpha: Positive = 10.0
    """Confidence that an event adds."""
    l2: Positive = 100.0
    """Weight of the squared norm of each vector in the loss."""
    epochs: PositiveInt = 10
    """Sweeps over users and items."""


class Bpr(Config):
    """Pairwise ranking by stochastic gradients: rated before not rated."""

    kind: Literal["bpr"] = "bpr"
    """Name of this trainer."""
    embedding_dim: PositiveInt = 64
    """Length of a vector, without the item's bias."""
    learning_rate: Positive = 0.05
    """Step size of stochastic gradient descent."""
    l2: NonNegative = 0.01
    """Weight of the squared norm of the vectors of each sampled triple in the loss."""
    epochs: PositiveInt = 60
    """Passes over the log, with one sampled triple an event."""


class Ratings(Config):
    """Squared error of the ratings, with user and item biases."""

    kind: Literal["ratings"] = "ratings"
    """Name of this trainer."""
    embedding_dim: PositiveInt = 32
    """Length of a vector, without the bias."""
    l2: Positive = 20.0
    """Weight of the squared norm of each vector, its bias included, in the loss."""
    epochs: PositiveInt = 10
    """Sweeps over users and items."""


class Sgd(Config):
    """The same loss by stochastic gradients, rating by rating."""

    kind: Literal["sgd"] = "sgd"
    """Name of this trainer."""
    embedding_dim: PositiveInt = 32
    """Length of a vector, without the bias."""
    learning_rate: Positive = 0.02
    """Step size at first; it falls linearly to 0."""
    l2: Positive = 20.0
    """Weight of the squared norm of each vector, its bias included, in the loss."""
    epochs: PositiveInt = 30
    """Passes over the ratings."""


class MFConfig(Config):
    """Training of the vectors, and their use."""

    trainer: Annotated[Als | Bpr | Ratings | Sgd, Field(discriminator="kind")] = Als()
    """Trainer of the item vectors."""
    use: Literal["u2i", "i2i"] = "u2i"
    """Score by the user's vector (u2i), or by the items of the history (i2i)."""
    decay: PositiveFloat = 5.0
    """Events after which an event of the history weighs 1/e; infinity for equal weights."""
    n_neighbours: PositiveInt = 200
    """Items of the highest cosine published for each item."""
    ann: AnnConfig = AnnConfig()
    """Index of the vectors that is searched."""
    seed: int = 0
    """Seed of the first vectors and of BPR's samples."""


class MF:
    """Matrix factorisation.

    State: ``item`` (I, W) and ``user`` (U, W) float32, whose inner products are the scores. The first F of
    the W columns are learned vectors; the rest carry biases: ``Bpr`` (b_i against 1), ``Ratings`` (b_i
    against 1, 1 against mean + b_u). ``encoder`` (F + 1, F), for ``Bpr`` alone; ``mean`` () and ``stars``
    (2,), the ends of the scale, for ``Ratings`` and ``Sgd``, whose columns are the same; ``has_events`` (I,)
    bool, the items of the log it was fitted on, the only ones it recommends.
    """

    def __init__(self, config: MFConfig = MFConfig()) -> None:
        self.config = config
        self.state: State = {}
        self._indexed: Derived[Index] = Derived()

    def fit(self, dataset: Dataset) -> Self:
        match self.config.trainer:
            case Als() as als:
                self.state = _train_als(dataset, als, self.config.seed)
            case Bpr() as bpr:
                self.state = _train_bpr(dataset, bpr, self.config.seed)
            case Ratings() as ratings:
                self.state = _train_ratings(dataset, ratings, self.config.seed)
            case Sgd() as sgd:
                self.state = _train_sgd(dataset, sgd, self.config.seed)
        self.state["has_events"] = np.bincount(dataset.item_idx, minlength=dataset.n_items) > 0
        self.state["user"] = self.user_vectors(queries_at(dataset))
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        by_user = self.config.use == "u2i"
        vectors = self.state["item"] if by_user else self._unit_vectors()
        queried = self.user_vectors(queries) if by_user else self._sums_of_items(queries, vectors)
        index = self._indexed.of(self.state, lambda: self._index(vectors))
        return recommend_nearest(index, queried, queries, n, filter_seen)

    def ratings(self, queries: Queries, query: Longs, item: Ints) -> Doubles:
        """(N,) the rating of each pair of a query's number and an item; all events of a history weigh alike.

        Raises:
            ValueError: the trainer does not learn ratings.
        """
        if not isinstance(self.config.trainer, Ratings | Sgd):
            raise ValueError("predicts no ratings: trainer.kind must be ratings or sgd")
        users = self._folded_in(queries, FOREVER)
        # Without a history the item's own mean.
        users[queries.start == queries.end, -2:] = 1, self.state["mean"]
        scores = np.einsum("nw,nw->n", users[query], self.state["item"][item])
        return Stars(*self.state["stars"]).clipped(scores)

    def tables(self) -> Tables:
        unit = self._unit_vectors()
        near = nearest_neighbours(build_index(unit, self.config.ann), unit, self.config.n_neighbours)
        alike = near.score > 0
        neighbours = Neighbours(np.where(alike, near.item, -1), np.where(alike, near.score, -np.inf))
        return Tables(neighbours, self.state["item"], self.state["user"])

    def user_vectors(self, queries: Queries) -> Floats:
        """(B, W) the vectors that the histories of the queries give, zero for no history."""
        return self._folded_in(queries, self.config.decay)

    def _folded_in(self, queries: Queries, decay: float) -> Floats:
        newest = reach(decay)
        recent = queries if newest is None else queries.last(newest)
        match self.config.trainer:
            case Als() as als:
                vectors = _fold_in_als(recent, self.state, als, decay)
            case Bpr():
                vectors = _fold_in_bpr(recent, self.state, decay)
            case Ratings() | Sgd() as ratings:
                vectors = _fold_in_ratings(recent, self.state, ratings, decay)
        vectors[queries.start == queries.end] = 0
        return vectors

    def _sums_of_items(self, queries: Queries, vectors: Floats) -> Floats:
        """(B, F) decayed sums of the vectors (I, F) of each history."""
        sums: Floats = decayed_history(queries, self.config.decay) @ vectors
        return sums

    def _index(self, vectors: Floats) -> Index:
        """Those of the vectors (I, F) whose items occurred."""
        return build_index(np.where(self.state["has_events"][:, None], vectors, 0), self.config.ann)

    def _unit_vectors(self) -> Floats:
        """(I, F) of length 1, or zero."""
        return of_unit_length(self.state["item"][:, : self.config.trainer.embedding_dim])


def _train_als(dataset: Dataset, config: Als, seed: int) -> State:
    from implicit.cpu.als import AlternatingLeastSquares  # where it trains alone

    with threadpool_limits(1, "blas"):  # the library runs its own threads
        model = AlternatingLeastSquares(
            factors=config.embedding_dim,
            regularization=config.l2,
            alpha=1 + config.alpha,
            iterations=config.epochs,
            random_state=seed,
        )
        model.fit(csr_matrix(interactions(dataset)), show_progress=False)
    return {"item": model.item_factors}


def _fold_in_als(queries: Queries, state: State, config: Als, decay: float) -> Floats:
    """The library's problem for one user, an event that weighs w counting as w events."""
    item = state["item"]
    base = item.T @ item + config.l2 * np.eye(config.embedding_dim, dtype=np.float32)
    target = np.broadcast_to(np.float32(1 + 1 / config.alpha), queries.log.n_events)
    return _ridge_rows(
        queries.start, queries.end, queries.log.item_idx, target, item, base, config.alpha, decay
    )


def _train_bpr(dataset: Dataset, config: Bpr, seed: int) -> State:
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    rated = interactions(dataset)
    model = BayesianPersonalizedRanking(
        factors=config.embedding_dim,
        learning_rate=config.learning_rate,
        regularization=config.l2,
        iterations=config.epochs,
        num_threads=1,  # more threads would race for the same vectors: no two fits would be equal
        random_state=seed,
    )
    model.fit(csr_matrix(rated), show_progress=False)
    item = model.item_factors  # (I, F + 1), the last column is the bias
    active = np.diff(rated.indptr) > 0
    mean = _mean_vectors(rated, item[:, :-1])[active]
    user = model.user_factors[active, :-1]
    encoder = np.linalg.lstsq(mean, user, rcond=None)[0]
    return {"item": item, "encoder": encoder.astype(np.float32)}


def _fold_in_bpr(queries: Queries, state: State, decay: float) -> Floats:
    """BPR has no closed form for a new user: trained vectors regressed on the mean of the user's items."""
    mean = _mean_vectors(decayed_history(queries, decay), state["item"][:, :-1])
    return np.column_stack([mean @ state["encoder"], np.ones(len(queries), dtype=np.float32)])


def _mean_vectors(history: csr_matrix, vectors: Floats) -> Floats:
    """(B, F + 1) the weighted mean of the items' vectors, and a constant."""
    total = np.maximum(history.sum(axis=1), np.finfo(np.float32).tiny)
    mean = (history @ vectors) / total[:, None]
    return np.column_stack([mean, np.ones(len(mean), dtype=np.float32)])


def _train_ratings(dataset: Dataset, config: Ratings, seed: int) -> State:
    residual = dataset.rating - _mean_rating(dataset)
    by_item = np.argsort(dataset.item_idx, kind="stable")
    bounds = np.searchsorted(dataset.item_idx[by_item], np.arange(dataset.n_items + 1))
    raters = dataset.user_idx[by_item]
    base = config.l2 * np.eye(config.embedding_dim + 1, dtype=np.float32)
    shape = dataset.n_items, config.embedding_dim + 1
    item = np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)
    for _ in range(config.epochs):
        target = residual - item[dataset.item_idx, -1]
        user = _ridge_rows(
            dataset.indptr[:-1], dataset.indptr[1:], dataset.item_idx, target, _with_one(item), base
        )
        target = residual[by_item] - user[raters, -1]
        item = _ridge_rows(bounds[:-1], bounds[1:], raters, target, _with_one(user), base)
    return _ratings_state(item, dataset)


def _ratings_state(item: Floats, dataset: Dataset) -> State:
    """The state by the vectors and biases (I, F + 1) of the items."""
    stars = Stars.of(dataset.rating)
    return {
        "item": np.column_stack([item, np.ones(len(item), dtype=np.float32)]),
        "mean": np.array(_mean_rating(dataset)),
        "stars": np.array([stars.low, stars.high]),
    }


def _mean_rating(dataset: Dataset) -> np.float32:
    return np.float32(dataset.rating.mean()) if dataset.n_events else np.float32(0)


def _train_sgd(dataset: Dataset, config: Sgd, seed: int) -> State:
    """The loss is that of ``Ratings``: what a vector is penalised by is spread over its ratings."""
    rng = np.random.default_rng(seed)
    user, item = (
        rng.normal(0, 0.1, (n, config.embedding_dim + 1)).astype(np.float32)
        for n in (dataset.n_users, dataset.n_items)
    )
    residual = dataset.rating - _mean_rating(dataset)
    user_decay, item_decay = (
        (config.l2 / np.maximum(np.bincount(index, minlength=n), 1)).astype(np.float32)
        for index, n in ((dataset.user_idx, dataset.n_users), (dataset.item_idx, dataset.n_items))
    )
    for epoch in range(config.epochs):
        rate = config.learning_rate * (1 - epoch / config.epochs)
        order = rng.permutation(dataset.n_events)
        rows = order, dataset.user_idx, dataset.item_idx, residual
        _pass(*rows, user, item, user_decay, item_decay, rate)
    if not np.isfinite(item).all():
        raise FloatingPointError(f"mf diverged: lower trainer.learning_rate ({config.learning_rate})")
    return _ratings_state(item, dataset)


@njit(cache=True)
def _pass(
    order: Longs,
    users: Ints,
    items: Ints,
    residual: Floats,
    user: Floats,
    item: Floats,
    user_decay: Floats,
    item_decay: Floats,
    rate: float,
) -> None:
    """One step a rating, implicit in the penalty; the last number of a vector is the bias."""
    last = user.shape[1] - 1
    for event in order:
        u, i = users[event], items[event]
        predicted = user[u, last] + item[i, last]
        for d in range(last):
            predicted += user[u, d] * item[i, d]
        error = residual[event] - predicted
        for d in range(last + 1):
            p, q = user[u, d], item[i, d]
            to_user, to_item = (q, p) if d < last else (1.0, 1.0)
            user[u, d] = (p + rate * error * to_user) / (1 + rate * user_decay[u])
            item[i, d] = (q + rate * error * to_item) / (1 + rate * item_decay[i])


def _fold_in_ratings(queries: Queries, state: State, config: Ratings | Sgd, decay: float) -> Floats:
    log, item = queries.log, state["item"][:, :-1]
    target = log.rating - state["mean"] - item[log.item_idx, -1]
    base = config.l2 * np.eye(config.embedding_dim + 1, dtype=np.float32)
    user = _ridge_rows(queries.start, queries.end, log.item_idx, target, _with_one(item), base, decay=decay)
    ones = np.ones(len(user), dtype=np.float32)
    return np.column_stack([user[:, :-1], ones, user[:, -1] + state["mean"]])


def _with_one(vectors: Floats) -> Floats:
    """The vectors with a constant in place of the bias: the regressors of the other side."""
    return np.column_stack([vectors[:, :-1], np.ones(len(vectors), dtype=np.float32)])


def _ridge_rows(
    start: Longs,
    end: Longs,
    index: Ints,
    target: Floats,
    vectors: Floats,
    base: Floats,
    scale: float = 1.0,
    decay: float = FOREVER,
) -> Floats:
    """For each row the x (D,) that minimises sum_e w_e (target_e - x vectors[index_e])^2 + x base x.

    The events e of row r are start[r] to end[r]; the k-th from the end weighs scale * exp(-k / decay).
    """
    return _solve_rows(start, end, index, target, np.ascontiguousarray(vectors), base, scale, decay)


@njit(cache=True)
def _add_events(
    left: Doubles,
    right: Doubles,
    start: int,
    end: int,
    index: Ints,
    target: Floats,
    vectors: Floats,
    scale: float,
    decay: float,
) -> None:
    """Add w v v' to the lower triangle of left (D, D) and w target v to right (D,), over the events."""
    for event in range(start, end):
        vector = vectors[index[event]]
        weight = scale * np.exp(-(end - 1 - event) / decay)
        for i in range(len(vector)):
            weighted = weight * vector[i]
            right[i] += weighted * target[event]
            for j in range(i + 1):
                left[i, j] += weighted * vector[j]


@njit(cache=True, fastmath={"reassoc", "contract"})
def _cholesky_solve(left: Doubles, right: Doubles) -> None:
    """Solve in place, left given by its lower triangle.

    Plain loops: numba takes seconds more to compile calls of LAPACK and BLAS.
    """
    for i in range(len(right)):
        for j in range(i + 1):
            dot = 0.0
            for k in range(j):
                dot += left[i, k] * left[j, k]
            left[i, j] -= dot
            if j < i:
                left[i, j] /= left[j, j]
                right[i] -= left[i, j] * right[j]
        left[i, i] = np.sqrt(left[i, i])
        right[i] /= left[i, i]
    for i in range(len(right) - 1, -1, -1):
        right[i] /= left[i, i]
        for k in range(i):
            right[k] -= left[i, k] * right[i]


@njit(parallel=True, cache=True)
def _solve_rows(
    start: Longs,
    end: Longs,
    index: Ints,
    target: Floats,
    vectors: Floats,
    base: Floats,
    scale: float,
    decay: float,
) -> Floats:
    solution = np.empty((len(start), vectors.shape[1]), dtype=np.float32)
    for row in prange(len(start)):
        left, right = base.astype(np.float64), np.zeros(vectors.shape[1])
        _add_events(left, right, start[row], end[row], index, target, vectors, scale, decay)
        _cholesky_solve(left, right)
        solution[row] = right
    return solution

"""Nightly training: epochs over shuffled buckets of histories, early stopping, resumable after each epoch.

The randomness of an epoch starts from (seed, epoch) alone, so that a checkpoint needs no inside of a
generator: a training killed and resumed ends in the same bits as one that was not.

ID tables learn by row-wise Adagrad, all else by AdamW: a step costs the rows it reads, whatever the size of
the tables.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit, logit

from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Mask, Queries, queries_at, queries_before
from models.embeddings.cbow import CbowConfig, cbow
from models.embeddings.retrieval import HistoryConfig
from models.evaluation import metrics
from models.incremental import Checkpoint, CheckpointCallback
from models.stars import Stars
from models.state import State, named
from models.two_tower.batch_loss import BatchLoss, event_weights
from models.two_tower.batches import Collator, in_buckets, windows_over
from models.two_tower.config import Precision, TrainingConfig, TwoTowerConfig
from models.two_tower.inputs import user_columns
from models.two_tower.model import Model
from models.two_tower.negatives import unseen
from models.two_tower.replica import Replica
from models.two_tower.rowwise import RowwiseAdagrad
from models.two_tower.towers import DecayedMeans

# Read when the first product is rounded. Torch and oneDNN each keep code and workspace for the newest 1,024
# shapes of products; batches have thousands of shapes, and that takes more than a gigabyte.
for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(cache, "16")

LIST = 10
"""Length of the lists that validation looks at."""

FEWEST_EPOCHS, FEWEST_STEPS, MOST_EPOCHS = 3, 400, 20
"""Passes over a large log, steps in all, and passes over a small log, where epochs are not configured."""

REPLAY_LENGTH = 32
"""Consecutive events of a user that are replayed together: one pass over a history serves them all."""

HELD_OUT, WARM = 1_000_001, 1_000_002
"""Second seeds of draws outside the numbered epochs."""


class Rates(NamedTuple):
    """Learning rates of a step."""

    dense: float
    """Learning rate of AdamW."""
    rows: float
    """Learning rate of the row-wise Adagrad of the ID tables."""


class Trainer:
    """Runs epochs of a model over a log."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        config: TwoTowerConfig,
        rejected: Ints | None = None,
        replica: Replica = Replica(),
    ) -> None:
        """``rejected`` (U, K), padded with -1: hard negatives are drawn from it if that is their source.

        Raises:
            ValueError: ``rejected`` has not one row a user.
        """
        self.model, self.dataset, self.config, self.replica = model, dataset, config, replica
        self.rejected = _usable(rejected, dataset, config)
        self.collator = Collator(dataset, model.schema, user_columns(dataset, model.schema))
        self.batch_loss = BatchLoss(model, dataset, config)
        tables = model.towers.id_tables()
        self.rows = RowwiseAdagrad(tables, config.training.initial)
        by_row = {id(table.weight) for table in tables.values()}
        self.dense = torch.optim.AdamW(
            [weight for weight in model.towers.parameters() if id(weight) not in by_row],
            betas=(0.9, 0.98),
            weight_decay=config.training.weight_decay,
            fused=True,
        )

    def epoch(self, wanted: Mask, number: int, rates: Callable[[float], Rates]) -> float:
        """One pass over the wanted rows (E,); returns their mean loss.

        ``rates`` gives the learning rates when a fraction of the epoch is done.

        Raises:
            FloatingPointError: the loss, or a weight, is no longer finite.
        """
        rng = np.random.default_rng((self.config.seed, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)) + self.replica.rank)
        draws = self.replica.draws(rng)
        hard = self._hard() if self.config.negatives.hard else None
        windows = windows_over(self.dataset, wanted, self.config.towers.newest, rng)
        total, positions, done = 0.0, 0.0, 0
        with rounded_products(self.config.training.precision), denormals_as_zeros():
            for batch in in_buckets(windows, self.config.training.batch_tokens, rng):
                ahead = self._ahead(len(batch), batch.longest, rng)
                mine = self.replica.rows(len(batch))
                histories = self.collator.histories(
                    batch.take(mine), wanted, None if ahead is None else ahead[mine]
                )
                loss, n_mine = self.batch_loss.loss(histories, draws, generator, hard)
                batch_total, n_positions = self.replica.sums(loss.item() * n_mine, n_mine)
                self._check_finite(batch_total)
                mine_of_all = loss * (n_mine / max(1.0, n_positions))
                self._step(mine_of_all, n_positions, rates(done / len(windows)))
                total, positions = total + batch_total, positions + n_positions
                done += len(batch)
        frequencies = self.batch_loss.sampler.frequencies
        frequencies.set_arrays(self.replica.of_first(frequencies.arrays()))
        for weight in self.model.towers.parameters():
            self._check_finite(weight.detach().sum().item())
        return total / max(1, positions)

    def checkpoint(self, curve: list[tuple[float, float]], best: State) -> Checkpoint:
        """Everything needed to go on from here: weights, the best so far, both optimisers, frequencies."""
        moments = {
            f"moment.{parameter}.{name}": value.numpy().copy()
            for parameter, of_parameter in self.dense.state_dict()["state"].items()
            for name, value in of_parameter.items()
        }
        pushed = {f"pushed.{name}": value for name, value in self.rows.arrays().items()}
        weights = {f"now.{name}": value for name, value in self.model.weights().items()}
        best = {f"best.{name}": value for name, value in best.items()}
        frequencies = {f"frequency.{k}": v for k, v in self.batch_loss.sampler.frequencies.arrays().items()}
        arrays = {**weights, **best, **moments, **pushed, **frequencies}
        return Checkpoint(len(curve), np.array(curve, dtype=np.float32), arrays)

    def resume(self, checkpoint: Checkpoint) -> State:
        """Go back to a checkpoint; returns the best weights up to it."""
        self.model.set_weights(named(checkpoint.arrays, "now."))
        self.rows.set_arrays(named(checkpoint.arrays, "pushed."))
        state = self.dense.state_dict()
        for name, value in named(checkpoint.arrays, "moment.").items():
            parameter, kind = name.split(".")
            state["state"].setdefault(int(parameter), {})[kind] = torch.tensor(value)
        self.dense.load_state_dict(state)
        self.batch_loss.sampler.frequencies.set_arrays(named(checkpoint.arrays, "frequency."))
        return named(checkpoint.arrays, "best.")

    def _step(self, loss: torch.Tensor, n_positions: float, rates: Rates) -> None:
        for group in self.dense.param_groups:
            group["lr"] = rates.dense
        self.dense.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        of_dense = [weight for group in self.dense.param_groups for weight in group["params"]]
        self.replica.add_gradients(of_dense, self.rows.tables.values())
        if self.config.training.clip_norm < float("inf"):
            torch.nn.utils.clip_grad_norm_(of_dense, self.config.training.clip_norm)
        self.dense.step()
        # Rows learn from sums: of a mean their part would depend on how much else is in the batch.
        self.rows.step(rates.rows, n_positions)

    def _check_finite(self, value: float) -> None:
        training = self.config.training
        if not math.isfinite(value):
            raise FloatingPointError(
                "the training of the towers diverged: lower training.learning_rate "
                f"({training.learning_rate}), id_learning_rate ({training.id_learning_rate}) or "
                f"clip_norm ({training.clip_norm})"
            )

    def _ahead(self, size: int, length: int, rng: np.random.Generator) -> Floats | None:
        if self.config.training.target == "next":
            return None
        return rng.random((size, length), dtype=np.float32)

    def _hard(self) -> Ints:
        """(U, K) the items of each user that hard negatives are drawn from in an epoch that begins now."""
        if self.rejected is not None:
            return self.rejected
        first, last = self.config.negatives.hard_ranks
        return self.model.recommend(queries_at(self.dataset), last).item[:, first - 1 :]


@contextmanager
def denormals_as_zeros() -> Iterator[None]:
    """Arithmetic on denormal numbers, which fading gradients are, is a hundred times slower than on zeros."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def rounded_products(precision: Precision) -> Iterator[None]:
    """Factors of matrix products are rounded to the precision; their sums, and all else, stay float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "bfloat16" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _usable(rejected: Ints | None, dataset: Dataset, config: TwoTowerConfig) -> Ints | None:
    """The rejected items (U, K) that users have not seen; None where hard negatives have another source."""
    if rejected is None or not rejected.size or config.negatives.hard_source == "model":
        return None
    if len(rejected) != dataset.n_users:
        raise ValueError(f"rejected items of {len(rejected)} users, but {dataset.n_users} in the log")
    return unseen(rejected, dataset)


def train(
    dataset: Dataset,
    config: TwoTowerConfig,
    checkpoint_callback: CheckpointCallback | None = None,
    resume: Checkpoint | None = None,
    rejected: Ints | None = None,
    replica: Replica = Replica(),
) -> tuple[Model, Floats]:
    """A model trained from scratch, or on from a checkpoint of the same log and config, and its curve.

    The newest events of some users are no targets, only validation: the model is that of the best epoch by
    their NDCG@10, or by the error of their ratings if it learns these. ``rejected`` (U, K) as for
    :class:`Trainer`.
    """
    held = held_out(dataset, config.training.validation_users, config.seed)
    wanted = np.ones(dataset.n_events, dtype=bool)
    wanted[held] = False
    model = Model.new(dataset, config.towers, config.seed)
    trainer = Trainer(model, dataset, config, rejected, replica)
    if resume is None and config.training.first_vectors is not None:
        start_from_bags(model, dataset.where(wanted), config.training.first_vectors)
    elif resume is None and config.towers.bias and config.loss.kind == "rating":
        start_from_ratings(model, dataset.where(wanted))
    elif resume is None and config.towers.bias:
        start_from_popularity(model, dataset.where(wanted), config)
    queries = queries_before(dataset, held)
    if config.training.target == "future":
        queries = earlier(queries, config.seed)
    epochs, patience = epochs_and_patience(dataset, config.training)
    curve = [] if resume is None else [tuple(row) for row in resume.curve.tolist()]
    best = trainer.resume(resume) if resume is not None else model.weights()
    while not _stalled(curve, epochs, patience):
        number = len(curve)
        loss = trainer.epoch(wanted, number, partial(_rates, config.training, epochs, number))
        # Compared as a checkpoint stores it.
        metric = np.float32(validate(model, queries, held, dataset, config))
        curve.append((loss, float(metric)))
        if curve[-1][1] >= max(metric for _, metric in curve):
            best = model.weights()
        if checkpoint_callback is not None:
            checkpoint_callback(trainer.checkpoint(curve, best))
    model.set_weights(best)
    return model, np.array(curve, dtype=np.float32).reshape(-1, 2)


def epochs_and_patience(dataset: Dataset, training: TrainingConfig) -> tuple[int, int]:
    """Passes over a log at most, and how many without a better one end the training."""
    if training.epochs is not None:
        return training.epochs, training.patience
    needed = math.ceil(FEWEST_STEPS * training.batch_tokens / max(1, dataset.n_events))
    epochs = min(max(FEWEST_EPOCHS, needed), MOST_EPOCHS)
    # Short epochs of small logs improve the model little, and few users judge it.
    return epochs, math.ceil(training.patience * epochs / FEWEST_EPOCHS)


def warm(
    model: Model, dataset: Dataset, rows: Longs, config: TwoTowerConfig, rejected: Ints | None = None
) -> float:
    """One shuffled epoch over some rows of the log and a sample of its history; returns the mean loss.

    ``rejected`` (U, K) as for :class:`Trainer`.
    """
    wanted = np.zeros(dataset.n_events, dtype=bool)
    wanted[rows] = True
    rng = np.random.default_rng((config.seed, WARM))
    wanted[replayed(dataset, int(config.training.warm_replay * len(rows)), rng)] = True
    trainer = Trainer(model, dataset, config, rejected)
    dense, by_row = config.training.warm_learning_rate, config.training.warm_id_learning_rate
    return trainer.epoch(wanted, WARM, lambda done: Rates(dense * (1 - done), by_row * (1 - done)))


def replayed(dataset: Dataset, n: int, rng: np.random.Generator, length: int = REPLAY_LENGTH) -> Longs:
    """About n rows of the log, ascending: runs of consecutive events of a user, from random ones on."""
    if n == 0 or dataset.n_events == 0:
        return np.empty(0, dtype=np.int64)
    first = rng.integers(0, dataset.n_events, -(-n // length))
    rows = first[:, None] + np.arange(length)  # (runs, length)
    return np.unique(rows[rows < dataset.indptr[dataset.user_idx[first] + 1][:, None]])


def held_out(dataset: Dataset, users: int, seed: int) -> Longs:
    """The newest row of some users with a history, ascending: at most a quarter of them."""
    able = np.flatnonzero(np.diff(dataset.indptr) > 1)
    rng = np.random.default_rng((seed, HELD_OUT))
    chosen = rng.choice(able, min(users, len(able) // 4), replace=False)
    return np.sort(dataset.indptr[chosen + 1] - 1)


def earlier(queries: Queries, seed: int) -> Queries:
    """The same queries after a random first part of the history, of one event at least."""
    rng = np.random.default_rng((seed, HELD_OUT))
    length = 1 + rng.integers(0, np.maximum(queries.end - queries.start, 1))
    return Queries(queries.user_idx, queries.at, queries.start, queries.start + length, queries.log)


def ndcg(model: Model, queries: Queries, target: Ints) -> float:
    """NDCG@10 of B queries, each of which has one target (B,); 0 without queries."""
    found = model.recommend(queries, LIST).item == target[:, None]
    gain = found / np.log2(np.arange(LIST) + 2)
    return float(gain.sum() / max(1, len(target)))


def validate(model: Model, queries: Queries, held: Longs, dataset: Dataset, config: TwoTowerConfig) -> float:
    """NDCG@10 of the held-out rows, or minus the root of the mean squared error of their ratings."""
    if config.loss.kind == "rating":
        found = ratings(model, queries, np.arange(len(held)), dataset.item_idx[held])
        return -metrics.rmse(dataset.rating[held], found) if len(held) else 0.0
    return ndcg(model, queries, dataset.item_idx[held])


def ratings(model: Model, queries: Queries, query: Longs, item: Ints) -> Doubles:
    """(N,) the rating of each pair of a query's number and an item, by a model that learned ratings."""
    users, items = model.user_vectors(queries), model.item_vectors()
    scores = np.einsum("nd,nd->n", users[query], items[item])
    return Stars.of(queries.log.rating).rating(expit(scores.astype(np.float64)))


def start_from_ratings(model: Model, dataset: Dataset) -> None:
    """Set the biases to the log odds of each item's mean rating on its scale, shrunk by five ratings."""
    fraction = Stars.of(dataset.rating).fraction(dataset.rating)
    total = np.bincount(dataset.item_idx, fraction, dataset.n_items)
    count = np.bincount(dataset.item_idx, minlength=dataset.n_items)
    prior = fraction.mean() if len(fraction) else 0.5
    mean = np.clip((total + 5 * prior) / (count + 5), 0.01, 0.99)
    with torch.no_grad():
        model.towers.table("bias").weight[1:, 0] = torch.from_numpy(logit(mean).astype(np.float32))


def start_from_popularity(model: Model, dataset: Dataset, config: TwoTowerConfig) -> None:
    """Set the biases to the log of how often each item occurs among the weighted events, 0 on average.

    A softmax over biases alone ends there; small steps would take long to get that far.
    """
    weight = event_weights(dataset, config)
    weight = np.broadcast_to(weight / max(weight.mean(), 1e-30), dataset.n_events)
    popularity = np.log1p(np.bincount(dataset.item_idx, weight, dataset.n_items))
    with torch.no_grad():
        bias = torch.from_numpy((popularity - popularity.mean()).astype(np.float32))
        model.towers.table("bias").weight[1:, 0] = bias


def start_from_bags(model: Model, dataset: Dataset, config: CbowConfig) -> None:
    """Set ID vectors and the linear part of the means to those of a bag-of-words model of the log.

    Its bag is one of the decayed means, so that the model starts as good as that one is. Attributes and a
    transformer beside it start at random and learn the rest.
    """
    history = HistoryConfig()
    vectors = cbow(dataset.item_idx, dataset.indptr, dataset.n_items, history, config)
    towers = model.towers
    weight: Doubles = np.bincount(dataset.item_idx, minlength=dataset.n_items).astype(np.float64) + 1e-3
    towers.start("item_id", vectors.output, weight)
    towers.start("history", vectors.input, weight)
    with torch.no_grad():
        for encoder in towers.encoders:
            if isinstance(encoder, DecayedMeans):
                block = towers.config.decays.index(history.decay)
                dim = towers.config.embedding_dim
                encoder.linear.weight.zero_()
                encoder.linear.weight[:, block * dim : (block + 1) * dim] = torch.eye(dim)


def _rates(config: TrainingConfig, epochs: int, number: int, fraction: float) -> Rates:
    """The learning rates at a fraction of epoch ``number`` of so many: up at first, then down to zero."""
    done = (number + fraction) / epochs
    of_highest = min(1.0, done / config.warmup, (1 - done) / (1 - config.warmup))
    return Rates(config.learning_rate * of_highest, config.id_learning_rate * of_highest)


def _stalled(curve: list[tuple[float, float]], epochs: int, patience: int) -> bool:
    """True where training ends: all epochs are done, or the last few improved nothing."""
    if len(curve) >= epochs:
        return True
    best = int(np.argmax([metric for _, metric in curve])) if curve else 0
    return len(curve) - 1 - best >= patience

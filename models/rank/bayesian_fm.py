"""Bayesian factorization machine: predictions are means over draws of all weights, given the rows.

Rendle, "Factorization Machines with libFM" (TIST 2012, https://doi.org/10.1145/2168752.2168771), with the
sets of SVD++ (Rendle, Zhang and Koren 2019, "On the Difficulty of Evaluating Baselines",
https://arxiv.org/abs/1905.01395) and an ordered probit: a label of L levels is where a normal variable about
the machine's score falls between L - 1 cuts; of two levels it is the probit. Cuts are moved to where the rows
are likeliest, not drawn: thousands of rows leave little doubt of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from scipy.special import ndtr, ndtri

from models.config import Config
from models.dataset import Doubles, Floats, Longs
from models.features.schema import FeatureSchema
from models.rank.contract import Ranker
from models.rank.design import DesignBlock, parts, sets_of
from models.rank.gibbs import Weights, sweep
from models.rank.rows import Rows, check_features, check_training
from models.state import State, named, pack_text, unpack_text

Numbers = NDArray[np.floating]
"""Weights as drawn, or as stored."""

EDGE = 1e-12
"""Least probability of a level."""


class BayesianFMConfig(Config):
    """Size and sampling of the machine."""

    embedding_dim: PositiveInt = 32
    """Length of a feature's vector."""
    implicit: bool = True
    """A user is also the items of the training rows, an item their users, if ids are among the features."""
    burn_in: NonNegativeInt = 20
    """Sweeps over all weights before those that count."""
    n_samples: PositiveInt = 150
    """Sweeps after these, each of which gives a draw that predictions are means over."""
    graded_by: str | None = None
    """Task whose labels are the levels, so that rows without a label of the main task teach too; None for the
    main task, which is what is predicted in either case."""


@dataclass(frozen=True)
class BayesianFM:
    """S draws of all weights: a ranker as in :class:`models.rank.contract.Trained`."""

    draws: State
    """``PART.linear`` (S, J), ``PART.vectors`` (S, D, J), ``cuts`` (S, L - 1), ``levels`` (L,): the label of
    the main task at each level, nan where it has none."""
    sets: State
    """Items of users and users of items: :func:`models.rank.design.sets_of`."""
    schema: FeatureSchema
    tasks: tuple[str, ...]

    @property
    def state(self) -> State:
        """The draws, the sets, ``schema`` and ``tasks`` as JSON."""
        texts = {"schema": self.schema.to_json(), "tasks": json.dumps(self.tasks)}
        draws = {f"draw.{name}": value for name, value in self.draws.items()}
        sets = {f"set.{name}": value for name, value in self.sets.items()}
        return draws | sets | {name: pack_text(text) for name, text in texts.items()}

    def logits(self, rows: Rows) -> Floats:
        """(N, 1) log odds of the expected label, by the mean of each level's probability over draws.

        Raises:
            ValueError: the rows have other features.
        """
        check_features(rows, self.schema)
        found, levels = parts(rows, self.sets), self.draws["levels"]
        total = np.zeros((len(rows), len(levels)))
        for number, cuts in enumerate(self.draws["cuts"]):
            drawn = {
                name: (self.draws[f"{name}.linear"][number], self.draws[f"{name}.vectors"][number])
                for name in found
            }
            total += probabilities(scores(found, drawn), cuts)
        mean = np.clip(expected(total, levels), EDGE, 1 - EDGE)
        return np.log(mean / (1 - mean)).astype(np.float32)[:, None]


def fit_bayesian_fm(
    train: Rows, validation: Rows, seed: int, config: BayesianFMConfig = BayesianFMConfig()
) -> BayesianFM:
    """Draw the weights by the rows whose task has a label, in [0, 1]; validation rows stop nothing.

    Raises:
        ValueError: there are no training or no validation rows, the two differ in features, rows have
            weights, or no task of the name that grades them.
    """
    check_training(train, validation)
    if train.weight is not None:
        raise ValueError("bayesian_fm counts all rows alike: train another ranker on weighted rows")
    grade = train.label[:, _number_of_task(train, config.graded_by)]
    is_graded = ~np.isnan(grade)
    labelled = train.where(is_graded)
    level = np.unique(grade[is_graded], return_inverse=True)[1]
    levels = _means(labelled.label[:, 0], level)
    sets = sets_of(labelled) if config.implicit else {}
    found = parts(labelled, sets)
    rng = np.random.default_rng(seed)
    weights = {name: Weights(part, config.embedding_dim, rng) for name, part in found.items()}
    draws = _draws(found, weights, level, config, rng)
    return BayesianFM(draws | {"levels": levels}, sets, train.schema, train.tasks[:1])


def _number_of_task(rows: Rows, task: str | None) -> int:
    if task is None:
        return 0
    if task not in rows.tasks:
        raise ValueError(f"bayesian_fm is graded by {task}: these rows have {', '.join(rows.tasks)}")
    return rows.tasks.index(task)


def _means(label: Floats, level: Longs) -> Floats:
    """(L,) the mean of the known labels (N,) of each level (N,); nan where none is known."""
    labelled = ~np.isnan(label)
    n = int(level.max()) + 1
    count = np.bincount(level[labelled], minlength=n)
    total = np.bincount(level[labelled], label[labelled], n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def restore_bayesian_fm(state: State, config: BayesianFMConfig = BayesianFMConfig()) -> BayesianFM:
    """The machine that had this state; it needs none of the settings that it was fitted with."""
    schema = FeatureSchema.from_json(unpack_text(state["schema"]))
    tasks = tuple(json.loads(unpack_text(state["tasks"])))
    return BayesianFM(named(state, "draw."), named(state, "set."), schema, tasks)


def _draws(
    found: Mapping[str, DesignBlock],
    weights: Mapping[str, Weights],
    level: Longs,
    config: BayesianFMConfig,
    rng: np.random.Generator,
) -> State:
    """Draws that count, stacked: of the weights by part, and of the cuts."""
    cuts = first_cuts(level)
    score = scores(found, {name: (of.linear, of.vectors) for name, of in weights.items()})
    drawn: list[State] = []
    for number in range(config.burn_in + config.n_samples):
        cuts = moved_cuts(cuts, score, level)
        latent = draw_latent(score, *_bounds(cuts, level), rng)
        residual = latent - score
        sweep(tuple(weights.values()), residual, rng)
        score = latent - residual
        if number >= config.burn_in:
            drawn.append({"cuts": cuts} | _copied(weights))
    return {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}


def _copied(weights: Mapping[str, Weights]) -> State:
    linear = {f"{name}.linear": of.linear.astype(np.float32) for name, of in weights.items()}
    return linear | {f"{name}.vectors": of.vectors.astype(np.float32) for name, of in weights.items()}


def scores(found: Mapping[str, DesignBlock], weights: Mapping[str, tuple[Numbers, Numbers]]) -> Doubles:
    """(N,) the scores of rows by their parts, with weights (J,) and vectors (D, J) of each.

    Crosses within a part are summed up once a row of its matrix, those between parts by their sums.
    """
    total, before = np.zeros(()), np.zeros(())
    for name, part in found.items():
        linear, vectors = weights[name]
        sums = part.matrix @ vectors.T  # (R, D)
        own = part.matrix @ linear + 0.5 * ((sums**2).sum(1) - part.squares @ (vectors**2).sum(0))
        of_rows = sums[part.row]  # (N, D)
        total = total + own[part.row] + (before * of_rows).sum(-1)
        before = before + of_rows
    return total


def first_cuts(level: Longs) -> Doubles:
    """(L - 1,) where levels (N,) would be as frequent as they are if all scores were 0."""
    cuts: Doubles = ndtri(np.cumsum(np.bincount(level))[:-1] / len(level))
    return cuts


def probabilities(score: Doubles, cuts: Doubles) -> Doubles:
    """(N, L) the probability of each level of rows with scores (N,)."""
    above = ndtr(score[:, None] - cuts)  # (N, L - 1) the chance of more than each level but the last
    edges = np.ones((len(score), 1))
    each: Doubles = -np.diff(np.concatenate([edges, above, 0 * edges], axis=1))
    return each


def expected(weight: Doubles, levels: Floats) -> Doubles:
    """(N,) the mean of the labels of levels (L,), by weights (N, L), given that the level has a label."""
    labelled = ~np.isnan(levels)
    total = np.maximum(weight[:, labelled].sum(1), EDGE)
    mean: Doubles = weight[:, labelled] @ levels[labelled].astype(np.float64) / total
    return mean


def draw_latent(score: Doubles, low: Doubles, high: Doubles, rng: np.random.Generator) -> Doubles:
    """Normal variables of variance 1 about the scores, between low and high, (N,) each."""
    # By the lower tail, where small probabilities are told apart.
    sign = np.where(low > score, -1.0, 1.0)
    near, far = np.where(sign > 0, low, high) - score, np.where(sign > 0, high, low) - score
    p, q = ndtr(sign * near), ndtr(sign * far)
    chance = np.clip(p + (q - p) * rng.random(len(score)), np.finfo(float).tiny, 1 - np.finfo(float).epsneg)
    return np.asarray(score + sign * ndtri(chance))


def moved_cuts(cuts: Doubles, score: Doubles, level: Longs) -> Doubles:
    """The cuts (L - 1,) after a step of Fisher scoring towards where levels (N,) are likeliest."""
    low, high = (bound - score for bound in _bounds(cuts, level))
    p = np.maximum(ndtr(high) - ndtr(low), EDGE)
    up, down = _density(high) / p, _density(low) / p
    n = len(cuts) + 1
    # The cut above a row raises its likelihood, the cut below lowers it.
    slope = np.bincount(level, up, n)[:-1] - np.bincount(level, down, n)[1:]
    square = np.bincount(level, up**2, n)[:-1] + np.bincount(level, down**2, n)[1:]
    cross = -np.bincount(level, up * down, n)[1:-1]
    information = np.diag(square) + np.diag(cross, 1) + np.diag(cross, -1)
    return cuts + np.linalg.solve(information, slope)


def _bounds(cuts: Doubles, level: Longs) -> tuple[Doubles, Doubles]:
    """(N,) the cuts below and above each row."""
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    return edges[level], edges[level + 1]


def _density(x: Doubles) -> Doubles:
    return np.asarray(np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi))


RANKER = Ranker(fit_bayesian_fm, restore_bayesian_fm, BayesianFMConfig(), stops_early=False)

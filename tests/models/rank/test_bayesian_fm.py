"""The Bayesian factorization machine against its formulas written out densely."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from models.rank.bayesian_fm import (
    BayesianFMConfig,
    draw_latent,
    expected,
    first_cuts,
    fit_bayesian_fm,
    moved_cuts,
    probabilities,
    restore_bayesian_fm,
    scores,
)
from models.rank.design import DesignBlock, parts, sets_of
from models.rank.gibbs import Weights, sweep
from models.rank.rows import Rows
from models.rank.validation import metric_value
from tests.models.rank.small_rows import small_rows

D = 2


@pytest.fixture(scope="module")
def rows() -> Rows:
    return small_rows(200, 0)


@pytest.fixture(scope="module")
def found(rows: Rows) -> dict[str, DesignBlock]:
    return parts(rows, sets_of(rows))


def dense(found: Mapping[str, DesignBlock]) -> NDArray[np.float64]:
    """(N, J) all features of all rows, part by part."""
    return np.concatenate([part.matrix.toarray()[part.row] for part in found.values()], axis=1)


def machine(x: NDArray[np.float64], linear: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray:
    """A factorization machine by its definition: every pair of features, (D, J) vectors."""
    products = np.triu(vectors.T @ vectors, 1)
    return x @ linear + np.einsum("nj,jk,nk->n", x, products, x)


def joined(weights: Mapping[str, Weights]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    every = weights.values()
    return np.concatenate([w.linear for w in every]), np.concatenate([w.vectors for w in every], axis=1)


def new_weights(found: Mapping[str, DesignBlock]) -> dict[str, Weights]:
    rng = np.random.default_rng(1)
    weights = {name: Weights(part, D, rng) for name, part in found.items()}
    for of in weights.values():
        of.linear += rng.normal(size=len(of.linear))
    return weights


def test_scores_are_those_of_every_pair_of_features(found: dict[str, DesignBlock]) -> None:
    weights = new_weights(found)
    given = {name: (of.linear, of.vectors) for name, of in weights.items()}
    np.testing.assert_allclose(scores(found, given), machine(dense(found), *joined(weights)), atol=1e-5)


def test_a_sweep_draws_each_weight_given_all_others(found: dict[str, DesignBlock]) -> None:
    """The same draws by the definition: the slope of the machine in a weight is its difference by one."""
    x = dense(found)
    label = np.random.default_rng(2).normal(size=len(x))
    weights, slow = new_weights(found), new_weights(found)
    residual = label - machine(x, *joined(weights))
    sweep(tuple(weights.values()), residual, np.random.default_rng(3))
    np.testing.assert_allclose(residual, label - machine(x, *joined(weights)), atol=1e-4)

    rng = np.random.default_rng(3)

    def draw(array: NDArray[np.float64], noise: NDArray[np.float64], prior: tuple[NDArray, NDArray]) -> None:
        for j, (mean, precision) in enumerate(zip(*prior, strict=True)):
            array[j], before = 0.0, array[j]
            without = machine(x, *joined(slow))
            array[j] = 1.0
            slope = machine(x, *joined(slow)) - without
            array[j] = before
            total = slope @ slope + precision
            array[j] = (slope @ (label - without) + precision * mean) / total + noise[j] / np.sqrt(total)

    for of in slow.values():
        of.draw_prior(rng)
        draw(of.linear, rng.normal(size=len(of.linear)), of.prior(0))
    for dimension in range(D):
        for of in slow.values():
            draw(of.vectors[dimension], rng.normal(size=len(of.linear)), of.prior(dimension + 1))
    for fast, expected_of in zip(joined(weights), joined(slow), strict=True):
        np.testing.assert_allclose(fast, expected_of, atol=1e-3)


def test_a_user_is_also_the_items_of_the_training_rows(rows: Rows) -> None:
    sets = sets_of(rows)
    user, item = rows.queries["user_id"][rows.query], rows.items["item_id"][rows.item]
    matrix = parts(rows, sets)["queries"].matrix.toarray()
    for row, code in enumerate(rows.queries["user_id"]):
        mine = np.isin(np.arange(31), item[user == code])
        np.testing.assert_allclose(matrix[row, -31:], mine / max(mine.sum(), 1) ** 0.5, atol=1e-6)
    assert not sets_of(replace(rows, items={}))


def test_cuts_move_to_where_the_levels_are_likeliest() -> None:
    level = np.repeat([0, 1, 2], [20, 50, 30])
    cuts = np.array([-0.3, 0.1])
    for _ in range(30):
        cuts = moved_cuts(cuts, np.zeros(100), level)
    np.testing.assert_allclose(cuts, first_cuts(level), atol=1e-6)  # of equal scores: quantiles
    np.testing.assert_allclose(ndtr(cuts), [0.2, 0.7], atol=1e-6)


def test_latent_variables_are_normal_between_their_bounds() -> None:
    rng = np.random.default_rng(0)
    for low, high, score in ((-np.inf, -0.5, 0.7), (0.2, 1.0, 0.0), (3.0, np.inf, -6.0)):
        drawn = draw_latent(*(np.full(20_000, value) for value in (score, low, high)), rng)
        assert low <= drawn.min() <= drawn.max() <= high
        normal = score + rng.normal(size=1_000_000)
        inside = normal[(normal > low) & (normal < high)]
        if len(inside):
            np.testing.assert_allclose(
                np.quantile(drawn, [0.2, 0.8]), np.quantile(inside, [0.2, 0.8]), atol=0.02
            )


def test_the_expected_label_weighs_levels_by_their_chances() -> None:
    levels, cuts, score = np.array([0.0, 0.25, 1.0]), np.array([-0.4, 0.9]), np.array([-2.0, 0.3])
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    chance = np.diff(ndtr(edges - score[:, None]), axis=1)
    np.testing.assert_allclose(probabilities(score, cuts), chance)
    np.testing.assert_allclose(expected(chance, levels), chance @ levels)
    middle_unknown = np.array([0.0, np.nan, 1.0])
    np.testing.assert_allclose(expected(3 * chance, middle_unknown), chance[:, 2] / (1 - chance[:, 1]))


def test_rows_that_another_task_grades_teach_liking() -> None:
    """Most rows say how much the film was liked, few whether it was: grades tell what labels alone do not."""
    train, test = (graded(small_rows(600, seed)) for seed in range(2))
    config = BayesianFMConfig(embedding_dim=2, graded_by="stars")
    by_grade = fit_bayesian_fm(train, test, 0, config)
    assert by_grade.tasks == ("liked",)
    by_label = fit_bayesian_fm(train, test, 0, BayesianFMConfig(embedding_dim=2))
    above = test.label[:, 1] > 0.5
    values = [metric_value(above, of.logits(test)[:, 0], test.query, "auc") for of in (by_grade, by_label)]
    assert values[0] > max(0.8, values[1])
    again = restore_bayesian_fm(by_grade.state)
    np.testing.assert_array_equal(again.logits(test), by_grade.logits(test))
    with pytest.raises(ValueError, match="graded by magic: these rows have liked, stars"):
        fit_bayesian_fm(train, test, 0, BayesianFMConfig(graded_by="magic"))


def graded(rows: Rows) -> Rows:
    """Rows with five grades by a taste, of which the ends alone, in a third of the rows, have a label."""
    rng = np.random.default_rng(0)
    taste = np.sin(1.0 * rows.item) + 0.3 * rng.normal(size=len(rows))
    grade = np.clip(np.round(2 + 1.5 * taste), 0, 4) / 4
    liked = np.where((grade == 0.5) | (rng.random(len(rows)) < 2 / 3), np.nan, grade > 0.5)
    return replace(rows, label=np.stack([liked, grade], axis=1).astype(np.float32), tasks=("liked", "stars"))


def test_labels_between_0_and_1_are_predicted_between_their_ends() -> None:
    train, test = (small_rows(600, seed) for seed in range(2))
    rng = np.random.default_rng(0)

    def stars(of: Rows) -> Rows:
        taste = np.sin(1.0 * of.item) + 0.3 * rng.normal(size=len(of))
        return replace(of, label=np.clip(np.round(2 + 1.5 * taste), 0, 4)[:, None] / 4, tasks=("stars",))

    train, test = stars(train), stars(test)
    trained = fit_bayesian_fm(train, test, 0, BayesianFMConfig(embedding_dim=2))
    predicted = 1 / (1 + np.exp(-trained.logits(test)[:, 0]))
    assert 0 <= predicted.min() < predicted.max() <= 1
    mean_error = np.mean((test.label[:, 0] - train.label.mean()) ** 2)
    assert np.mean((test.label[:, 0] - predicted) ** 2) < 0.4 * mean_error

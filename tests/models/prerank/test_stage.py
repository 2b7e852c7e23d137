"""The pre-ranking stage: it keeps what its features favour, in the order of the merged list."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models.candidates import Candidates
from models.dataset import Queries
from models.evaluation.leave_out import next_films
from models.features.declare import declarations
from models.merge import Merged
from models.prerank.registry import PRE_RANKERS
from models.prerank.stage import (
    FittedPreranking,
    PrerankConfig,
    best_of,
    fit_preranking,
    restore_preranking,
)
from models.rank.candidates import Pool, is_target
from tests.models.evaluation.logs import lists, random_log

LOG = random_log(0, "2001-01-01", "2001-06-01", n_users=60, n_items=30, n_events=1200)
HELD_BACK = next_films(LOG, 4)
DECLARED = declarations(
    {
        "user": [{"name": "gender", "kind": "categorical", "attribute": "gender"}],
        "item": [{"name": "id", "kind": "categorical", "attribute": "index"}],
        "cross": [{"name": "n_channels", "kind": "numeric", "compute": "n_channels"}],
        "channel": [{"name": "score", "kind": "numeric", "compute": "score"}],
    }
)
FEW = 6
"""Candidates kept."""


def pool_of(seed: int = 0) -> Pool:
    """The merged list is chance; a channel gives the target a higher score."""
    rng = np.random.default_rng(seed)
    n, items = len(HELD_BACK.queries), LOG.n_items
    hint = rng.normal(size=(n, items)).astype(np.float32)
    hint[np.arange(n), HELD_BACK.targets.item] += 3
    return Pool(HELD_BACK.queries, listed(rng.normal(size=(n, items))), {"hint": listed(hint)})


def listed(scores: np.ndarray) -> Candidates:
    item = np.argsort(-scores, axis=1).astype(np.int32)
    return Candidates(item, np.take_along_axis(scores, item, axis=1).astype(np.float32))


def merged_of(pool: Pool) -> Merged:
    return Merged(pool.merged, pool.merged.item.astype(np.int64) + 100)


def config_of(method: str) -> PrerankConfig:
    fast = {"training": {"batch_size": 128, "epochs": 8}} if method != "gbdt" else {"min_data_in_leaf": 5}
    return PrerankConfig(method=method, settings=fast, sampling={"negative_rate": 0.5}, folds=2)


@pytest.fixture(scope="module", params=sorted(PRE_RANKERS))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(method: str) -> FittedPreranking:
    found = fit_preranking(pool_of(), HELD_BACK.targets, LOG, DECLARED, config_of(method), seed=0)
    assert found is not None
    return found


def recall(short: Merged) -> float:
    return float(is_target(short.candidates.item, HELD_BACK.targets).sum() / len(HELD_BACK.targets.item))


def test_features_of_pairs_choose_the_candidates(method: str, fitted: FittedPreranking) -> None:
    pool = pool_of(seed=1)
    of_list = recall(best_of(merged_of(pool), pool.merged.score, FEW))
    assert of_list < 0.35  # by chance 6 of 30
    found = recall(best_of(merged_of(pool), fitted.ranking.scores(pool), FEW))
    # Two towers read nothing of a pair.
    assert (found > 0.5) if method != "two_tower" else (0.1 < found < 0.5)
    assert "n_channels" not in {feature.name for feature in fitted.ranking.encoder.schema.features}


def test_scores_of_the_pool_itself_are_out_of_fold(fitted: FittedPreranking) -> None:
    pool = pool_of()
    assert fitted.scores.shape == pool.merged.item.shape
    answers = [replace(fitted.ranking, rankers=(ranker,)).scores(pool) for ranker in fitted.ranking.rankers]
    # With several threads a network's sums depend on the rows that it is asked for at once, in the last bits.
    by = np.array([np.isclose(fitted.scores, answer, rtol=1e-4).all(axis=1) for answer in answers])
    # Every query is scored by exactly one of the two, all queries of a user by the same, and both score some.
    assert (by.sum(axis=0) == 1).all()
    assert by.any(axis=1).all()
    user = pool.queries.user_idx
    assert all(len(set(by[0, user == u].tolist())) == 1 for u in np.unique(user))
    assert len(np.unique(user)) < len(user)


def test_the_state_is_all_that_was_learned(method: str, fitted: FittedPreranking) -> None:
    state = {name: value.copy() for name, value in fitted.ranking.state.items()}
    again = restore_preranking(state, DECLARED, config_of(method))
    pool = pool_of(seed=2)
    np.testing.assert_array_equal(again.scores(pool), fitted.ranking.scores(pool))
    other = "gbdt" if method != "gbdt" else "three_tower"
    with pytest.raises(ValueError, match=f"{method}, not {other}"):
        restore_preranking(state, DECLARED, PrerankConfig(method=other))


def test_users_without_history_keep_the_merged_list(fitted: FittedPreranking) -> None:
    of_holdout, pool = HELD_BACK.queries, pool_of()
    new = np.arange(len(of_holdout)) % 2 == 0
    queries = Queries(
        of_holdout.user_idx,
        of_holdout.at,
        of_holdout.start,
        np.where(new, of_holdout.start, of_holdout.end),
        of_holdout.log,
    )
    pool = Pool(queries, pool.merged, pool.channels)
    short = best_of(merged_of(pool), fitted.ranking.scores(pool), FEW).candidates
    np.testing.assert_array_equal(short.item[new], pool.merged.item[new, :FEW])
    assert (short.item[~new] != pool.merged.item[~new, :FEW]).any()


def test_the_best_are_kept_in_the_order_of_the_list() -> None:
    merged = Merged(lists([[4, 2, 7, 5], [3, 1, -1, -1]]), np.array([[1, 2, 3, 4], [5, 6, 0, 0]]))
    score = np.array([[0.1, 3.0, 0.1, 9.0], [0.0, 1.0, -np.inf, -np.inf]], dtype=np.float32)
    short = best_of(merged, score, 3)
    # Of equal scores the first of the list.
    assert short.candidates.item.tolist() == [[4, 2, 5], [3, 1, -1]]
    assert short.candidates.score.tolist() == [[0, -1, -3], [0, -1, -np.inf]]
    assert short.channels.tolist() == [[1, 2, 4], [5, 6, 0]]
    wider = best_of(merged, score, 6)
    assert wider.candidates.item.tolist() == [[4, 2, 7, 5, -1, -1], [3, 1, -1, -1, -1, -1]]


def test_nothing_is_fitted_for_the_merged_list_or_on_too_few_targets() -> None:
    pool, targets = pool_of(), HELD_BACK.targets
    assert fit_preranking(pool, targets, LOG, DECLARED, PrerankConfig(), seed=0) is None
    few, _ = targets.where(np.arange(len(targets)) < 1)
    one = pool.where(np.arange(1))
    assert fit_preranking(one, few, LOG, DECLARED, config_of("gbdt"), seed=0) is None


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValidationError, match="unknown pre-ranker 'towers': choose from merged, three_tower"):
        PrerankConfig(method="towers")

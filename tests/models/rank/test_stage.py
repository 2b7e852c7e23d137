"""The ranking stage: takes charge where it helps, leaves the merged list alone where it does not."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from models.candidates import Candidates
from models.dataset import Queries
from models.evaluation.leave_out import next_films
from models.evaluation.split import Split
from models.features.declare import Declaration, declarations
from models.merge import Merged
from models.rank.candidates import TASKS, Pool
from models.rank.fit import Fitted, Formula, RankConfig, fit_ranking
from models.rank.fusion import FORMULAS, FusionConfig
from models.rank.registry import build_ranker
from models.rank.stage import Ranking, order, restore_ranking
from tests.models.evaluation.logs import random_log

LOG = random_log(0, "2001-01-01", "2001-06-01", n_users=60, n_items=30, n_events=1200)
HELD_BACK = next_films(LOG, 4)
CONFIG = RankConfig(ranker="lr")
CHANNEL = declarations({"channel": [{"name": "score", "kind": "numeric", "compute": "score", "about": ""}]})


def pool_of(split: Split, knows: float, seed: int = 0) -> Pool:
    """The merged list is chance; a channel gives the target a higher score, by ``knows`` deviations."""
    rng = np.random.default_rng(seed)
    n, items = len(split.queries), split.train.n_items
    noise = rng.normal(size=(n, items)).astype(np.float32)
    hint = noise.copy()
    hint[np.arange(n), split.targets.item] += knows
    return Pool(split.queries, listed(rng.normal(size=(n, items))), {"hint": listed(hint)})


def listed(scores: np.ndarray) -> Candidates:
    item = np.argsort(-scores, axis=1).astype(np.int32)
    return Candidates(item, np.take_along_axis(scores, item, axis=1).astype(np.float32))


def fit(pool: Pool, declared: list[Declaration] = CHANNEL, config: RankConfig = CONFIG) -> Fitted:
    ranker = build_ranker(config.ranker)
    fitted = fit_ranking(pool, HELD_BACK.targets, LOG, declared, config, ranker, seed=0)
    assert fitted is not None
    return fitted


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(pool_of(HELD_BACK, 3.0))


@pytest.fixture(scope="module")
def helpful(fitted: Fitted) -> Ranking:
    return fitted.ranking


def merged_of(pool: Pool) -> Merged:
    return Merged(pool.merged, pool.merged.item.astype(np.int64) + 100)


def test_it_takes_charge_where_it_helps(fitted: Fitted) -> None:
    helpful, ndcg = fitted.ranking, fitted.ndcg
    assert helpful.blend_weight >= 0.5
    # The largest weight that cannot be told from the best: a larger one loses much more than this one does.
    lost = {weight: max(ndcg.values()) - value for weight, value in ndcg.items()}
    assert lost[helpful.blend_weight] < 0.02 < lost[0.0] - 0.1
    assert all(lost[weight] > lost[helpful.blend_weight] for weight in lost if weight > helpful.blend_weight)
    pool = pool_of(HELD_BACK, 3.0, seed=1)
    ranked = order(merged_of(pool), helpful.scores(pool), 5)
    hits = (ranked.candidates.item == HELD_BACK.targets.item[:, None]).any(axis=1).mean()
    assert hits > 0.5  # by chance 5 of 30
    # Who recalled a film moves with it.
    np.testing.assert_array_equal(ranked.channels, ranked.candidates.item + 100)


def test_where_features_say_nothing_the_merged_list_stands() -> None:
    pool = pool_of(HELD_BACK, 0.0)
    # A merged list that knows everything, and a ranker that cannot see it.
    pool = Pool(pool.queries, pool_of(HELD_BACK, 9.0, seed=2).channels["hint"], pool.channels)
    year = declarations({"item": [{"name": "year", "kind": "numeric", "attribute": "year", "about": ""}]})
    fitted = fit(pool, year)
    ranking = fitted.ranking
    assert fitted.ndcg[0.0] > fitted.ndcg[1.0] + 0.5
    assert ranking.blend_weight < 1
    ranked = order(merged_of(pool), ranking.scores(pool), 1).candidates
    np.testing.assert_array_equal(ranked.item, pool.merged.item[:, :1])


def test_the_state_is_all_that_was_learned(helpful: Ranking) -> None:
    state = {name: value.copy() for name, value in helpful.state.items()}
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in state.values())
    again = restore_ranking(state, CHANNEL, build_ranker("lr"))
    pool = pool_of(HELD_BACK, 3.0, seed=4)
    np.testing.assert_array_equal(again.scores(pool), helpful.scores(pool))
    other = declarations({"channel": [{"name": "gap", "kind": "numeric", "compute": "gap", "about": ""}]})
    with pytest.raises(ValueError, match="other features"):
        restore_ranking(state, other, build_ranker("lr"))
    with pytest.raises(ValueError, match="lr, not fm"):
        restore_ranking(state, CHANNEL, build_ranker("fm"))


def test_newcomers_keep_the_merged_list(helpful: Ranking) -> None:
    of_holdout = HELD_BACK.queries
    new = np.arange(len(of_holdout)) % 2 == 0
    queries = Queries(
        of_holdout.user_idx,
        of_holdout.at,
        of_holdout.start,
        np.where(new, of_holdout.start, of_holdout.end),
        of_holdout.log,
    )
    pool = pool_of(HELD_BACK, 3.0)
    pool = Pool(queries, pool.merged, pool.channels)
    ranked = order(merged_of(pool), helpful.scores(pool), pool.merged.n).candidates
    np.testing.assert_array_equal(ranked.item[new], pool.merged.item[new])
    assert (ranked.item[~new] != pool.merged.item[~new]).any()


def test_the_answers_of_others_and_padding_change_no_score(helpful: Ranking) -> None:
    pool = pool_of(HELD_BACK, 3.0)
    some = np.arange(0, len(pool.queries), 3)
    np.testing.assert_array_equal(helpful.logits(pool.where(some)), helpful.logits(pool)[some])
    padded = Candidates(
        np.pad(pool.merged.item, ((0, 0), (0, 2)), constant_values=-1),
        np.pad(pool.merged.score, ((0, 0), (0, 2)), constant_values=-np.inf),
    )
    logits = helpful.logits(Pool(pool.queries, padded, pool.channels))
    assert np.isneginf(logits[:, -2:]).all()
    np.testing.assert_array_equal(logits[:, :-2], helpful.logits(pool))


def test_calibration_brings_probabilities_near_what_happens(fitted: Fitted) -> None:
    curves = fitted.reliability
    # One in thirty candidates is watched; a ranker that saw a tenth of the others believes one in four.
    assert curves["as trained"].error > 0.1
    assert curves["sampling undone"].error < curves["as trained"].error / 4
    assert curves["isotonic"].error < 0.02
    every_second = len(HELD_BACK.queries) // 2 * LOG.n_items
    assert all(curve.count.sum() == every_second for curve in curves.values())


def test_several_tasks_are_fused_and_restored() -> None:
    pool = pool_of(HELD_BACK, 3.0)
    ranking = fit(pool, config=RankConfig(ranker="shared_bottom", folds=2)).ranking
    assert ranking.tasks == TASKS
    assert ranking.task_weights["watched"] == 1
    # Here only the main task counts: weights that let all of them speak.
    ranking = replace(ranking, fusion=FusionConfig("boosted", (1.0, 0.5, 2.0)), blend_weight=1.0)
    logits = ranking.task_logits(pool)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    p[..., 0] = p[..., 0] / (p[..., 0] + (1 - p[..., 0]) / ranking.negative_rate)
    expected = np.log(p[..., 0] * (1 + 0.5 * p[..., 1] + 2 * p[..., 2]))
    np.testing.assert_allclose(ranking.logits(pool), expected, rtol=1e-4)
    again = restore_ranking(ranking.state, CHANNEL, build_ranker("shared_bottom"))
    np.testing.assert_array_equal(again.scores(pool), ranking.scores(pool))


@pytest.mark.parametrize("formula", sorted(FORMULAS))
def test_every_formula_can_be_chosen_and_its_parameters_are_state(formula: str) -> None:
    pool = pool_of(HELD_BACK, 3.0)
    settings = {"training": {"epochs": 2}}
    config, ranker = RankConfig(formula=formula, folds=2), build_ranker("shared_bottom", settings)
    fitted = fit_ranking(pool, HELD_BACK.targets, LOG, CHANNEL, config, ranker, seed=0)
    assert fitted is not None
    assert fitted.ranking.fusion.formula == formula
    fusion = FusionConfig(formula, (1.0, 0.5, 2.0), exponent=2.0, offset=3.0)
    ranking = replace(fitted.ranking, fusion=fusion, blend_weight=1.0)
    again = restore_ranking(ranking.state, CHANNEL, ranker)
    assert again.fusion == fusion
    np.testing.assert_array_equal(again.scores(pool), ranking.scores(pool))
    others = [replace(ranking, fusion=replace(fusion, formula=name)) for name in {*FORMULAS} - {formula}]
    assert all((other.scores(pool) != ranking.scores(pool)).any() for other in others)


def test_only_formulas_that_exist_can_be_chosen() -> None:
    assert set(get_args(Formula)) == set(FORMULAS)
    with pytest.raises(ValidationError, match="formula"):
        RankConfig(formula="sum")


def test_too_few_answers_teach_nothing() -> None:
    few = HELD_BACK.queries.rows(0, 1)
    pool = pool_of(HELD_BACK, 3.0).where(np.arange(1))
    targets, _ = HELD_BACK.targets.where(np.arange(len(HELD_BACK.queries)) < 1)
    pool, ranker = Pool(few, pool.merged, pool.channels), build_ranker("lr")
    assert fit_ranking(pool, targets, LOG, CHANNEL, CONFIG, ranker, seed=0) is None

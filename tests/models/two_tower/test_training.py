"""Training: it learns what is there to learn, by any loss, and survives being killed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.dataset import DAY, queries_before
from models.embeddings.cbow import CbowConfig
from models.incremental import Checkpoint
from models.recall.two_tower import TwoTower
from models.two_tower.config import (
    LossConfig,
    NegativesConfig,
    TowersConfig,
    TrainingConfig,
    TwoTowerConfig,
    UpdateConfig,
)
from models.two_tower.model import Model
from models.two_tower.training import earlier, held_out, ndcg, replayed
from tests.models.recall.small_logs import START, small_log
from tests.models.two_tower.circle import N_ITEMS, STEP, accuracy, circle, small


def test_bfloat16_learns_the_circle_and_leaves_torch_as_it_was() -> None:
    before = torch.get_float32_matmul_precision()
    config = small()
    assert (
        accuracy(
            TwoTower(config.but(training=config.training.but(precision="bfloat16"))).fit(circle()), circle()
        )
        > 0.9
    )
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("rates", [{"learning_rate": 1e38}, {"id_learning_rate": 1e38}])
def test_a_training_that_diverges_stops_in_one_clear_line(rates: dict[str, float]) -> None:
    config = small()
    channel = TwoTower(config.but(training=config.training.but(**rates)))
    with pytest.raises(FloatingPointError, match=r"^the training of the towers diverged: lower .*1e\+38"):
        channel.fit(circle())
    assert not channel.state


def test_towers_learn_ratings() -> None:
    log = circle()
    # Three in ten films are bad, and some users like everything better.
    stars = np.where(log.item_idx % 10 < 3, 1, 4) + (log.user_idx % 2)
    log = replace(log, rating=stars.astype(np.float32))
    config = small(
        towers=small().towers.but(user_id=True),
        negatives=NegativesConfig(uniform=0),
        loss=LossConfig(kind="rating"),
        update=UpdateConfig(n_negatives=0),
    )
    channel = TwoTower(config).fit(log)
    rows = log.indptr[1:] - 1
    asks = queries_before(log, rows), np.arange(len(rows)), log.item_idx[rows]
    found = channel.ratings(*asks)
    assert 1 <= found.min() <= found.max() <= 5
    assert np.sqrt(np.mean((found - log.rating[rows]) ** 2)) < 0.5
    with pytest.raises(ValueError, match=r"loss\.kind must be rating"):
        TwoTower(small()).ratings(*asks)


@pytest.mark.parametrize("encoder", ["attention", "causal"])
def test_every_encoder_learns_the_circle(encoder: str) -> None:
    blocks = {"blocks": 1} if encoder == "causal" else {}
    towers = TowersConfig(embedding_dim=16, history=(encoder,), newest=15, dropout=0.0, **blocks)
    assert accuracy(TwoTower(small(towers=towers)).fit(circle()), circle()) > 0.9


def test_starting_from_bags_is_as_good_as_the_bags() -> None:
    log = circle()
    config = small(training=TrainingConfig(epochs=0, first_vectors=CbowConfig(embedding_dim=16, epochs=40)))
    config = config.but(training=config.training.but(validation_users=0))
    assert accuracy(TwoTower(config).fit(log), log) > 0.9


def test_recent_targets_weigh_more() -> None:
    log = circle()
    # In the second half of the time the circle turns the other way.
    late = log.at >= START + 8
    turned = np.where(late, (log.item_idx - 2 * STEP * (log.at - START - 7)) % N_ITEMS, log.item_idx)
    log = replace(log, item_idx=turned.astype(np.int32))
    config = small()
    plain, recent = (
        accuracy(TwoTower(config.but(training=config.training.but(recency=recency))).fit(log), log)
        for recency in (0.0, 1 / 86_400)
    )
    assert recent > max(0.9, plain + 0.1)


def test_recent_is_what_is_near_the_newest_event_however_late_it_is() -> None:
    config = small(training=TrainingConfig(epochs=2, recency=1.0))
    log = small_log()
    soon, late = (
        TwoTower(config).fit(replace(log, as_of=log.as_of + days * DAY)).state for days in (0, 10_000)
    )
    for name, array in soon.items():
        np.testing.assert_array_equal(late[name], array, err_msg=name)


@pytest.mark.parametrize(
    "config",
    [
        small(),
        small(
            towers=TowersConfig(embedding_dim=16, history=("mean", "causal"), user_id=True, statistics=True),
            negatives=NegativesConfig(uniform=5, in_batch=5, hard=2, hard_ranks=(2, 10), mask_seen=True),
            loss=LossConfig(kind="logistic"),
        ),
    ],
    ids=["plain", "everything"],
)
def test_a_training_killed_and_resumed_ends_in_the_same_bits(config: TwoTowerConfig) -> None:
    config = config.but(training=config.training.but(epochs=6, patience=2))
    log = small_log()
    checkpoints: list[Checkpoint] = []
    whole = TwoTower(config).fit(log, checkpoint_callback=checkpoints.append)
    assert [checkpoint.epoch for checkpoint in checkpoints] == list(range(1, len(checkpoints) + 1))
    np.testing.assert_array_equal(checkpoints[-1].curve, whole.state["curve"])
    for checkpoint in (checkpoints[0], checkpoints[2], checkpoints[-1]):
        assert checkpoint.curve.shape == (checkpoint.epoch, 2)
        resumed = TwoTower(config).fit(log, resume=checkpoint)
        for name, array in whole.state.items():
            np.testing.assert_array_equal(resumed.state[name], array, err_msg=name)


def test_equal_metrics_are_equal_to_a_resumed_training_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0.1 is less than the float32 next to it, which a checkpoint keeps.
    monkeypatch.setattr("models.two_tower.training.ndcg", lambda *arguments: 0.1)
    config = small(training=TrainingConfig(epochs=3, learning_rate=0.05))
    checkpoints: list[Checkpoint] = []
    whole = TwoTower(config).fit(small_log(), checkpoint_callback=checkpoints.append)
    resumed = TwoTower(config).fit(small_log(), resume=checkpoints[0])
    for name, array in whole.state.items():
        np.testing.assert_array_equal(resumed.state[name], array, err_msg=name)


def test_training_stops_when_validation_stalls() -> None:
    config = small(training=TrainingConfig(epochs=50, learning_rate=0.05, patience=2))
    curve = TwoTower(config).fit(small_log()).state["curve"]
    assert len(curve) < 50
    best = int(np.argmax(curve[:, 1]))
    assert len(curve) - 1 - best == 2


def test_held_out_rows_are_last_rows_and_ndcg_is_that_of_their_items() -> None:
    log = small_log()
    rows = held_out(log, 6, seed=0)
    assert len(rows) == 6
    assert np.isin(rows + 1, log.indptr).all()
    model = Model.new(log, TowersConfig(), seed=0)
    found = model.recommend(queries_before(log, rows), 10).item
    lists = zip(found.tolist(), log.item_idx[rows].tolist(), strict=True)
    expected = np.mean([1 / np.log2(top.index(item) + 2) if item in top else 0 for top, item in lists])
    assert expected > 0
    assert ndcg(model, queries_before(log, rows), log.item_idx[rows]) == pytest.approx(expected)


def test_replayed_rows_are_runs_within_a_user() -> None:
    log = small_log()
    rng = np.random.default_rng(0)
    rows = replayed(log, 40, rng, length=8)
    assert 8 <= len(rows) <= 40
    assert (np.diff(rows) > 0).all()
    starts = rows[np.append(True, np.diff(rows) > 1)]
    assert len(starts) <= 5
    assert len(replayed(log, 0, rng)) == 0


def test_a_warm_training_learns_the_new_day_and_keeps_the_old() -> None:
    log = circle(length=20)
    day = log.at >= START + 12
    # On the new day the circle turns the other way.
    turned = np.where(day, (log.item_idx - 2 * STEP * (log.at - START - 11)) % N_ITEMS, log.item_idx)
    log = replace(log, item_idx=turned.astype(np.int32))
    training = small().training.but(warm_learning_rate=0.03, warm_id_learning_rate=0.3)
    model = TwoTower(small(training=training)).fit(log.before(START + 12))
    cold = {name: value.copy() for name, value in model.state.items()}
    new = np.flatnonzero(day)

    def chance(rows: np.ndarray) -> float:
        found = model.recommend(queries_before(log, rows), 3, filter_seen=False)
        return float((found.item == log.item_idx[rows][:, None]).any(axis=1).mean())

    before = chance(new)
    for _ in range(5):
        model.warm(log, new)
    assert chance(new) > before + 0.3
    changed = [
        name
        for name, value in cold.items()
        if name.startswith("weight.") and (model.state[name] != value).any()
    ]
    assert set(changed) == {name for name in cold if name.startswith("weight.")}


def test_biases_start_at_the_log_of_popularity() -> None:
    log = small_log()
    config = small(training=TrainingConfig(epochs=0, validation_users=0))
    bias = TwoTower(config).fit(log).state["weight.tables.bias.weight"][:, 0]
    popularity = np.log1p(np.bincount(log.item_idx, minlength=log.n_items))
    np.testing.assert_allclose(bias[1:], popularity - popularity.mean(), rtol=1e-5, atol=1e-6)
    assert bias[0] == 0


@pytest.mark.parametrize("n_negatives", [1, 0])
def test_only_rows_that_were_read_learn_and_no_other_decays(n_negatives: int) -> None:
    log = small_log(n_items=400)
    training = TrainingConfig(epochs=1, weight_decay=0.5, validation_users=0, batch_tokens=100)
    towers = TowersConfig(embedding_dim=8, user_id=True, tied=False)
    config = small(towers=towers, negatives=NegativesConfig(uniform=n_negatives), training=training)
    new = Model.new(log, towers, config.seed).weights()
    trained = TwoTower(config).fit(log).state
    has_events = np.append(False, np.bincount(log.item_idx, minlength=log.n_items) > 0)
    assert not has_events.all()
    for name in ("item_id", "history"):
        before, after = new[f"tables.{name}.weight"], trained[f"weight.tables.{name}.weight"]
        np.testing.assert_array_equal((before != after).any(axis=1)[~has_events], False)
        assert (before != after).any(axis=1).mean() > 0.1
    # Without a history there is nothing to learn for user 0.
    before, after = new["tables.user_id.weight"], trained["weight.tables.user_id.weight"]
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (before[2:] != after[2:]).any()
    assert (new["encoders.0.linear.bias"] != trained["weight.encoders.0.linear.bias"]).any()


def test_towards_the_future_validation_asks_early() -> None:
    log = small_log()
    queries = queries_before(log, held_out(log, 8, seed=0))
    early = earlier(queries, seed=0)
    assert (early.start == queries.start).all()
    assert (early.end > queries.start).all()
    assert (early.end <= queries.end).all()
    assert (early.end < queries.end).any()


@pytest.mark.parametrize(
    ("epochs", "batches", "expected"),
    [(2, 1, 2), (30, 1, 30), (0, 1, 0), (None, 1, 20), (None, 40, 10), (None, 1_000, 3)],
)
def test_a_small_log_is_passed_more_often(epochs: int | None, batches: int, expected: int) -> None:
    log = small_log()
    training = TrainingConfig(epochs=epochs, batch_tokens=max(1, log.n_events // batches))
    assert TwoTower(small(training=training)).n_epochs(log) == expected


def test_all_passes_are_made() -> None:
    log = small_log()
    training = TrainingConfig(epochs=None, batch_tokens=log.n_events // 40, patience=100)
    assert len(TwoTower(small(training=training)).fit(log).state["curve"]) == 10


def test_more_passes_are_waited_for_as_patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.two_tower.training.ndcg", lambda *arguments: 0.1)
    log = small_log()
    training = TrainingConfig(epochs=None, batch_tokens=log.n_events, patience=2)
    # All are level with the first, which is the best: after two thirds of 20 epochs none was better.
    assert len(TwoTower(small(training=training)).fit(log).state["curve"]) == 1 + 14

"""Every setting of every ranker and pre-ranker does something: another value changes its logits."""

import json
from functools import cache

import numpy as np
import pytest
import torch

from models.config import overlaid
from models.prerank.registry import PRE_RANKERS
from models.rank.registry import RANKERS, build_ranker
from tests.models.rank.small_rows import small_rows
from tests.options.leaves import Case, Leaf, Settings, another, leaves, value_at

ROWS = small_rows(300, seed=0), small_rows(100, seed=1), small_rows(100, seed=2)
"""To train on, to stop by, and to answer."""

ALL = RANKERS | {name: ranker for name, ranker in PRE_RANKERS.items() if name not in RANKERS}
"""Rankers and pre-rankers by kind."""

NETWORK = {"training": {"batch_size": 64, "epochs": 2}}
SMALL: dict[str, Settings] = {
    "gbdt": {"min_data_in_leaf": 5, "num_boost_round": 10, "max_bin": 15},
    "bayesian_fm": {"embedding_dim": 4, "burn_in": 2, "n_samples": 2},
}
"""Settings by which a ranker is trained in no time, where they are not those of a network."""

SEEDS = range(6)
"""Trainings, of which one must differ: whether an epoch more changes anything is a matter of luck."""


def patience(learning_rate: float, **training: float) -> Case:
    """A training whose validation metric falls before it rises higher."""
    settings = {"epochs": 6, "patience": 1, "learning_rate": learning_rate} | training
    return Case(to=int(settings["epochs"]), given={"training": settings})


TRAINING = {
    "training.epochs": Case(to=1),
    "training.patience": patience(0.1, ema_decay=0.0),
    "training.monitor": Case(to="logloss", given={"training": {"epochs": 20}}),
    "training.l2": Case(to=1.0),
    "training.clip_norm": Case(to=0.01),
}
"""Settings of the training of a network."""

CASES: dict[str, dict[str, Case]] = {
    "gbdt": {
        "early_stopping_round": Case(to=1, given={"num_boost_round": 200, "learning_rate": 0.5}),
        "lambda_l2": Case(to=10.0),
    },
    "bayesian_fm": {"graded_by": Case(to="liked")},
    "bst": {"newest": Case(to=3)},
    "lr": {"training.patience": patience(0.03, epochs=12)},
    "fm": {"training.patience": patience(0.3, ema_decay=0.0)},
    "deepfm": {"training.patience": patience(0.3, ema_decay=0.0)},
}
"""Settings whose other value is not to be guessed, or that need others beside them, by kind and key."""

LEAVES = [(kind, leaf) for kind, ranker in ALL.items() for leaf in leaves(ranker.settings)]


@pytest.mark.parametrize(
    ("kind", "leaf"), LEAVES, ids=[f"rankers.{kind}.{leaf.key}" for kind, leaf in LEAVES]
)
def test_every_setting_of_a_ranker_does_something(kind: str, leaf: Leaf) -> None:
    case = (TRAINING | CASES.get(kind, {})).get(leaf.key, Case())
    given = overlaid(SMALL.get(kind, NETWORK), case.given)
    before = value_at(settings_of(kind, given), leaf.key)
    try:
        to = another(leaf, before) if case.to is None else case.to
    except LookupError:
        pytest.fail(f"{kind}.{leaf.key}: add another value of it to CASES in {__file__}")
    changed = overlaid(given, leaf.at(to))
    assert value_at(settings_of(kind, changed), leaf.key) != before
    with_one, with_other = json.dumps(given), json.dumps(changed)
    differs = (not np.array_equal(logits(kind, with_one, s), logits(kind, with_other, s)) for s in SEEDS)
    assert any(differs), (
        f"rankers.{kind}.{leaf.key} = {to!r} in place of {before!r} changes no logit: say in CASES in "
        f"{__file__} beside which settings it does, or refuse it where it does nothing"
    )


@pytest.mark.parametrize("kind", CASES)
def test_what_is_listed_here_is_a_setting(kind: str) -> None:
    assert CASES[kind].keys() <= {leaf.key for leaf in leaves(ALL[kind].settings)}


@pytest.mark.parametrize("kind", sorted(ALL))
def test_the_same_settings_give_the_same_logits(kind: str) -> None:
    settings = json.dumps(SMALL.get(kind, NETWORK))
    np.testing.assert_array_equal(logits.__wrapped__(kind, settings), logits(kind, settings))


@pytest.mark.parametrize("kind", sorted(ALL))
def test_the_seed_reaches_every_ranker(kind: str) -> None:
    settings = json.dumps(SMALL.get(kind, NETWORK))
    assert not np.array_equal(logits(kind, settings, seed=1), logits(kind, settings))


def settings_of(kind: str, settings: Settings) -> Settings:
    found: Settings = build_ranker(kind, settings, ALL).settings.model_dump()
    return found


@cache
def logits(kind: str, settings: str, seed: int = 0) -> np.ndarray:
    train, validation, test = ROWS
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trained = build_ranker(kind, json.loads(settings), ALL).fit(train, validation, seed)
        return trained.logits(test)
    finally:
        torch.set_num_threads(threads)

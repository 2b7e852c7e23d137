"""Training by two processes: the same model but for rounding, and nothing is left behind when one is lost."""

import multiprocessing
import os
import signal

import numpy as np
import psutil
import pytest

from models.incremental import Checkpoint
from models.recall.two_tower import TwoTower
from models.two_tower.config import LossConfig, NegativesConfig, TowersConfig
from tasks import processes
from tests.models.two_tower.circle import accuracy, circle, small
from warehouse.errors import MatineeError

EVERYTHING = small(
    towers=TowersConfig(embedding_dim=16, history=("mean", "causal"), user_id=True, statistics=True),
    negatives=NegativesConfig(uniform=5, in_batch=5, hard=2, hard_ranks=(2, 10), mask_seen=True),
    loss=LossConfig(kind="logistic"),
)


def test_two_processes_learn_what_one_learns() -> None:
    # Without draws that a process makes for itself only the rounding is left.
    log, config = circle(), small(negatives=NegativesConfig(uniform=0))
    # A batch is one window, so that one of them has nothing to learn from.
    config = config.but(training=config.training.but(batch_tokens=14, validation_users=5, epochs=4))
    alone, together = (TwoTower(config).fit(log), processes.fit(TwoTower(config), log, 2))
    np.testing.assert_allclose(together.state["curve"], alone.state["curve"], rtol=1e-3)
    assert together.state.keys() == alone.state.keys()
    assert accuracy(together, log) > 0.9


def test_a_training_by_two_goes_on_from_a_checkpoint_to_the_same_bits() -> None:
    config = EVERYTHING.but(training=EVERYTHING.training.but(epochs=3))
    checkpoints: list[Checkpoint] = []
    whole = processes.fit(TwoTower(config), circle(), 2, checkpoints.append)
    assert [checkpoint.epoch for checkpoint in checkpoints] == [1, 2, 3]
    resumed = processes.fit(TwoTower(config), circle(), 2, resume=checkpoints[0])
    for name, array in whole.state.items():
        np.testing.assert_array_equal(resumed.state[name], array, err_msg=name)


def test_a_training_by_two_that_diverges_stops_in_the_same_line() -> None:
    config = small(training=small().training.but(learning_rate=1e38))
    with pytest.raises(FloatingPointError, match=r"^the training of the towers diverged: lower .*1e\+38"):
        processes.fit(TwoTower(config), circle(), 2)


def test_a_lost_process_ends_the_training_and_leaves_no_other() -> None:
    def kill_one(checkpoint: Checkpoint) -> None:
        os.kill(multiprocessing.active_children()[-1].pid or 0, signal.SIGKILL)

    log, config = circle(), small(training=small().training.but(epochs=1_000, patience=1_000))
    channel = TwoTower(config)
    with pytest.raises(MatineeError, match=r"lost \(SIGKILL; out of memory\?\): run the same command"):
        processes.fit(channel, log, 2, kill_one)
    assert not channel.state
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_a_checkpoint_that_cannot_be_stored_ends_the_training_and_leaves_no_process() -> None:
    def full(checkpoint: Checkpoint) -> None:
        raise OSError("the disk is full")

    config = small(training=small().training.but(epochs=1_000, patience=1_000))
    with pytest.raises(OSError, match="the disk is full"):
        processes.fit(TwoTower(config), circle(), 2, full)
    assert not multiprocessing.active_children()

"""Checkpoints as arrays, reports as metrics."""

from dataclasses import replace

import numpy as np
import pytest

from models.incremental import Checkpoint, UpdateReport
from models.two_tower.config import UpdateConfig
from models.two_tower.drift import drift

REPORT = UpdateReport({"item_id": np.array([3])}, 0.1, 0.4, 2.0, 3.0, 2.5, 1.0, 1.02)


def test_a_checkpoint_goes_to_arrays_and_back() -> None:
    arrays = {"now.weight": np.ones((2, 3)), "frequency.gap": np.arange(4)}
    checkpoint = Checkpoint(2, np.array([[1.0, 0.2], [0.9, 0.3]], dtype=np.float32), arrays)
    packed = checkpoint.to_arrays()
    assert all(isinstance(value, np.ndarray) for value in packed.values())
    back = Checkpoint.from_arrays(packed)
    assert back.epoch == 2
    np.testing.assert_array_equal(back.curve, checkpoint.curve)
    assert back.arrays.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(back.arrays[name], value)
    assert packed.keys() == Checkpoint.from_arrays(packed).to_arrays().keys()


def test_the_metrics_of_a_report_are_its_finite_numbers() -> None:
    assert REPORT.metrics() == {
        "shift_mean": 0.1,
        "shift_max": 0.4,
        "norm_mean": 2.0,
        "new_before": 3.0,
        "new_after": 2.5,
        "old_before": 1.0,
        "old_after": 1.02,
    }
    broken = replace(REPORT, old_after=float("nan"), shift_max=float("inf"), drift="it went wrong")
    assert broken.metrics().keys() == REPORT.metrics().keys() - {"old_after", "shift_max"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"old_after": 1.049}, None),
        ({"old_after": 1.06}, "the loss on earlier events rose by 6.0% (at most 5%)"),
        ({"old_after": float("nan")}, "the loss on earlier events rose by nan% (at most 5%)"),
        ({"shift_mean": 1.2}, "its embeddings moved by 60% of their length (at most 50%)"),
        ({"shift_mean": float("inf")}, "its embeddings moved by inf% of their length (at most 50%)"),
        ({"old_before": 0.0, "old_after": 0.0, "shift_mean": 0.0, "norm_mean": 0.0}, None),
    ],
)
def test_drift_is_described_in_words(changes: dict[str, float], words: str | None) -> None:
    assert drift(replace(REPORT, **changes), UpdateConfig()) == words


def test_the_limits_of_drift_are_settings() -> None:
    strict = UpdateConfig(max_shift=0.01, max_loss_rise=0.0)
    assert drift(REPORT, strict) == "the loss on earlier events rose by 2.0% (at most 0%)"
    assert drift(REPORT, strict.but(max_loss_rise=1.0)) == (
        "its embeddings moved by 5% of their length (at most 1%)"
    )

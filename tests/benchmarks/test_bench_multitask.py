"""Multi-task rankers beside single-task ones."""

import pytest

from benchmarks import bench_multitask
from tests.benchmarks.printed import fraction, numbers

SMALL = [f"rankers.{name}.training.epochs=1" for name in ("deep", *bench_multitask.MULTI_TASK)]


def test_every_model_has_both_tasks(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_multitask.main([folder, *(word for item in SMALL for word in ("--set", item))])
    rows = capsys.readouterr().out.splitlines()[1:]
    found = {tuple(row.split()[:2]): row for row in rows}
    models = ("deep", *bench_multitask.MULTI_TASK)
    assert set(found) == {(model, task) for model in models for task in bench_multitask.TASKS}
    for (model, task), row in found.items():
        auc = fraction(row, task)
        if model == "deep":
            continue
        _, difference, low, high, *entropy = numbers(row, task)
        assert low <= difference <= high
        assert abs(auc - difference - fraction(found["deep", task], task)) < 2e-4
        assert len(entropy) == (model != "shared_bottom")
        assert all(0 <= value <= 1 for value in entropy)

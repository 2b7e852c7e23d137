"""The hourly flow as a command, measured."""

import pytest

from benchmarks import bench_hourly
from tests.benchmarks.printed import line, numbers

QUICK = [
    "--set",
    "recall.channels=[popular,item_cf,two_tower]",
    "--set",
    "channels.two_tower.training.epochs=1",
]


@pytest.mark.usefixtures("server")
def test_steps_and_the_flow_run_are_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_SOURCE", "synthetic:0.01")
    bench_hourly.main(["--events", "40", *QUICK])
    text = capsys.readouterr().out
    for step in ("features", "select users", "update two_tower", "recommend"):
        rows, seconds, memory = numbers(line(text, f"{step} "), step)
        assert rows > 0
        assert memory > 0
    for name in ("the flow run", "the command, wall"):
        events, seconds = numbers(line(text, name), name)
        assert events == 40
        assert seconds > 0

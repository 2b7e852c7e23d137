"""Nights in a row through the gate."""

import pytest

from benchmarks import gate_nights
from tests.benchmarks.printed import line, numbers


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("limit", "code"), [(0.95, 0), (0.0, 1)], ids=["nothing is held", "everything is held"]
)
def test_checks_of_a_night_are_counted(
    limit: float, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_SOURCE", "synthetic:0.01")
    small = ["--set", "recall.channels=[popular,segment]", "--set", "gate.min_users=1"]
    with pytest.raises(SystemExit) as stopped:
        gate_nights.main(["--nights", "1", *small, "--set", f"gate.max_top_film={limit}"])
    text = capsys.readouterr().out
    assert stopped.value.code == code
    assert numbers(line(text, "1 nights")) == [1]
    judged, failed, *_ = numbers(line(text, "| `top film` | holds"))
    assert (judged, failed) == (1, code)

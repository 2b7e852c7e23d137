"""Cost and quality of closed forms, on a small log."""

import pytest

from benchmarks import bench_closed_form
from tests.benchmarks.printed import line, numbers


def test_every_channel_has_a_row(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_closed_form.main([folder, "--channels", "ease,sequential_linear", "--set", "n_weights=30"])
    text = capsys.readouterr().out
    for name in ("ease", "sequential_linear"):
        hit_rates_and_more = numbers(line(text, name), name)[4:7]
        assert all(0 <= value <= 1 for value in hit_rates_and_more)
        assert hit_rates_and_more[0] <= hit_rates_and_more[2]

"""Cost by scale: the flow as a command at tiny scales, and what is made of the costs."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bench_scale
from benchmarks.bench_scale import COMMAND, Cost, Night, exponent, makespan
from tests.benchmarks.printed import line, numbers

FEW = ["--set", "recall.channels=[popular]", "--set", "rank.ranker=lr"]


def night(source: str, ratings: int, shards: list[float] | None = None, **seconds: float) -> Night:
    """A night whose steps took so many processor seconds, and the command as long as all of them."""
    steps = {step: Cost(cost, cost, 100.0) for step, cost in seconds.items()}
    whole = sum(seconds.values())
    return Night(
        source,
        ratings,
        {**steps, COMMAND: Cost(whole, whole, 200.0)},
        {"recommend": shards} if shards else {},
    )


def shortest(seconds: list[float], n_workers: int) -> float:
    """The makespan of the best schedule, by trying all."""
    return min(
        max(
            sum(task for task, owner in zip(seconds, owners, strict=True) if owner == worker)
            for worker in owners
        )
        for owners in itertools.product(range(n_workers), repeat=len(seconds))
    )


@pytest.mark.usefixtures("server")
def test_a_scale_is_measured_and_not_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = ["--out", str(tmp_path / "scale.json"), "--plot", str(tmp_path / "scale.svg")]
    bench_scale.main(["--scales", "0.01", *FEW, *files])
    text = capfd.readouterr().out
    costs, memory = text.split("| peak MiB", 1)
    assert numbers(line(costs, "| processor seconds"), "0.01:200 (")[0] > 2_000
    for step in ("ingest", "features", "recommend", COMMAND):
        assert numbers(line(costs, f"| {step} |"), f"{step} |")[0] >= 0
        assert min(numbers(line(memory.split("| seconds by")[0], f"| {step} |"), f"{step} |")) > 0
    assert (tmp_path / "scale.svg").read_text().startswith("<?xml")
    bench_scale.main(["--scales", "0.01", *FEW, *files])
    again = capfd.readouterr().out
    assert "| ingest |" in again
    assert text.endswith(again)
    with pytest.raises(SystemExit, match="other settings"):
        bench_scale.main(["--scales", "0.01", *FEW, *files, "--objective", "next"])


def test_films_grow_with_users() -> None:
    assert bench_scale.source(2) == "synthetic:2:7766"
    assert bench_scale.source(2, 4) == "synthetic:2:31064"
    assert bench_scale.source(0.01) == "synthetic:0.01:200"


@given(slope=st.floats(0.5, 2), factor=st.floats(0.001, 1))
def test_an_exponent_is_the_power_of_the_ratings(slope: float, factor: float) -> None:
    nights = [night("s", n, step=3 * factor * n**slope) for n in (1000, 4000, 2000)]
    found = exponent(nights, "step")
    if nights[1].steps["step"].cpu_seconds <= bench_scale.ENOUGH:
        assert found is None
    else:
        assert found == pytest.approx(slope, abs=0.01)


def test_exponents_above_the_limits_are_bold() -> None:
    nights = [
        night(f"synthetic:{n}:{n}", n * 1000, ingest=5 * n**1.12, rank=5 * n**1.12, square=n * n / 50)
        for n in (1, 2, 8)
    ]
    text = bench_scale.growth(nights)
    assert line(text, "| ingest |").endswith("| 1.12 |")  # sorts
    assert line(text, "| rank |").endswith("| **1.12** |")
    assert line(text, "| square |").endswith("|  |")  # under 2 s
    assert "| 8:8 (8,000) |" in text


def test_steps_that_more_films_double_are_bold() -> None:
    few = night("synthetic:1:10", 1000, cheap=0.1, square=4.0, linear=4.0)
    many = night("synthetic:1:40", 1000, cheap=0.5, square=64.0, linear=5.0, extra=1.0)
    text = bench_scale.ratios(few, many)
    assert line(text, "| square |").endswith("| 4.0 | 64.0 | **16.00** |")
    assert line(text, "| linear |").endswith("| 1.25 |")
    assert line(text, "| cheap |").endswith("| 5.00 |")
    assert "| extra |" in text


@given(seconds=st.lists(st.floats(0.1, 9), min_size=1, max_size=6), n_workers=st.integers(1, 3))
def test_longest_first_is_near_the_best_schedule(seconds: list[float], n_workers: int) -> None:
    found, best = makespan(seconds, n_workers), shortest(seconds, n_workers)
    assert best - 1e-9 <= found <= best * (4 / 3 - 1 / (3 * n_workers)) + 1e-9


def test_more_workers_shorten_what_is_cut_alone() -> None:
    # 6 s of shards and 4 s of all else.
    text = bench_scale.with_workers(
        night("synthetic:1:10", 1000, [3.0, 1.0, 1.0, 1.0], fit=3.0, recommend=7.0)
    )
    assert numbers(line(text, "| recommend |"), "recommend |") == [6.0, 3.0, 3.0, 3.0, 3.0]
    assert numbers(line(text, f"| {COMMAND} |"), f"{COMMAND} |") == [10.0, 7.0, 7.0, 7.0, 7.0]
    assert not bench_scale.with_workers(night("synthetic:1:10", 1000, fit=3.0))

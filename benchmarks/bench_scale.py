"""How the cost of each step of the nightly flow grows with the ratings, or with the films alone.

    python -m benchmarks.bench_scale [--scales 1,2,4,8,16] [--films] [--objective daily] [--set KEY=VALUE]...
        [--out FILE] [--plot FILE]

Runs ``matinee nightly`` on synthetic data of each scale, one after the other, each in an empty home; films
grow with users, 3,883 at scale 1. Prints processor seconds and peak memory of each step, and the exponent of
its seconds against the ratings: the slope of their logarithms. Of steps above 2 s, exponents above 1.10 are
bold (above 1.15 of steps that sort the log). Then what more workers would take, simulated from the seconds of
the shards of users. With --films each scale is run with as many films and with four times as many, and ratios
above 2 are bold. Measure with one thread (OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1): threads that wait count as
work.

--out keeps what is measured as JSON, also to go on with: scales that FILE has are not run again. --plot draws
seconds against ratings.
"""

import argparse
import heapq
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from benchmarks import configuration
from benchmarks.bench_nightly import timed
from benchmarks.commands import MATINEE, set_options
from benchmarks.server import server
from warehouse.events import log as event_log
from warehouse.releases import serving
from warehouse.sources.synthetic.data import ITEMS, MIN_ITEMS

SCALES, OF_FILMS = "1,2,4,8,16", "1"
"""Scales by default, with films that grow with users and with films alone."""

MORE_FILMS = 4

ENOUGH = 2.0
"""Seconds above which a step is held to the limits."""

LIMIT, LIMIT_OF_SORTS, LIMIT_OF_FILMS = 1.10, 1.15, 2.0
"""Exponents against ratings, and the ratio at four times the films, that are within bounds."""

SORTS = ("ingest", "features")
"""Steps that sort the whole log."""

WORKERS = (1, 2, 4, 8, 16)

COMMAND = "the command"
"""Label of the whole command, Prefect's client included, its server left out."""


@dataclass(frozen=True)
class Cost:
    """The cost of a step."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    """Peak resident MiB of all processes."""


@dataclass(frozen=True)
class Night:
    """A nightly run."""

    source: str
    ratings: int
    steps: dict[str, Cost]
    """By name, in the order in which they were taken; the whole command last."""
    shards: dict[str, list[float]]
    """Seconds of the shards of each step that is cut by users."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = f"default: {SCALES}, with --films {OF_FILMS}"
    parser.add_argument("--scales", help=f"times the users of ml-1m; {default}")
    parser.add_argument("--films", action="store_true", help="compare with four times the films")
    parser.add_argument("--objective", choices=("daily", "next"), default="daily")
    parser.add_argument("--out", type=Path, metavar="FILE", help="what is measured, as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a plot, as SVG")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    settings = [f"objective={options.objective}", *options.set]
    configuration.load(settings)
    scales = [float(text) for text in (options.scales or (OF_FILMS if options.films else SCALES)).split(",")]
    factors = (1, MORE_FILMS) if options.films else (1,)
    sources = [source(scale, factor) for scale in scales for factor in factors]
    nights = measured(sources, settings, options.out)
    if options.films:
        for few, many in zip(nights[::2], nights[1::2], strict=True):
            print(ratios(few, many))
    else:
        print(growth(nights), peaks(nights), *map(with_workers, nights[-1:]), sep="\n")
    if options.plot:
        plot(nights, options.plot)


def source(scale: float, more_films: int = 1) -> str:
    """The synthetic source of a scale, with films in the ratio to users that ml-1m has, or more of them."""
    return f"synthetic:{scale:g}:{max(MIN_ITEMS, round(ITEMS * scale)) * more_films}"


def measured(sources: list[str], settings: list[str], out: Path | None) -> list[Night]:
    """A night on each source; those that the file ``out`` has are read from there, the others added to it."""
    nights = read(out, settings) if out and out.exists() else {}
    for name in sources:
        if name not in nights:
            nights[name] = night(name, settings)
            if out:
                content = {"settings": settings, "nights": [asdict(one) for one in nights.values()]}
                out.write_text(json.dumps(content, indent=1))
    return [nights[name] for name in sources]


def read(file: Path, settings: list[str]) -> dict[str, Night]:
    """The nights of a file by source."""
    content = json.loads(file.read_text())
    if content["settings"] != settings:
        sys.exit(f"{file}: measured with other settings ({' '.join(content['settings'])}); name another file")
    nights = {}
    for one in content["nights"]:
        steps = {name: Cost(**cost) for name, cost in one["steps"].items()}
        nights[one["source"]] = Night(**{**one, "steps": steps})
    return nights


def night(name: str, settings: list[str]) -> Night:
    """Run ``matinee nightly`` on a source in an empty home."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder, "prefect")):
        home = Path(folder, "home")
        before = children_seconds()
        seconds, peak = timed([MATINEE, "nightly", "--source", name, *set_options(settings)], home)
        whole = Cost(seconds, children_seconds() - before, peak / 2**20)
        ratings = pl.scan_parquet(event_log.event_files(home)).select(pl.len()).collect().item()
        return Night(name, ratings, {**steps(home), COMMAND: whole}, shard_seconds(home))


def children_seconds() -> float:
    """Processor seconds of the children of this process that have ended, and of theirs."""
    times = os.times()
    return times.children_user + times.children_system


def steps(home: Path) -> dict[str, Cost]:
    """The cost of each step of the published release; wall seconds where it has no processor seconds."""
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        rows = con.sql("from lineage order by rowid").pl()
    cpu = pl.coalesce(column for column in ("cpu_seconds", "seconds") if column in rows.columns)
    costs = rows.select("step", "seconds", cpu.alias("cpu_seconds"), "peak_memory_mb")
    return {name: Cost(*cost) for name, *cost in costs.iter_rows()}


def shard_seconds(home: Path) -> dict[str, list[float]]:
    """Seconds of the shards of each step, from the reports that the run keeps."""
    found: dict[str, list[float]] = {}
    for file in sorted(home.glob("runs/*/shards/*/*.parquet")):
        found.setdefault(file.parent.name, []).extend(pl.read_parquet(file)["seconds"])
    return found


def exponent(nights: Sequence[Night], step: str) -> float | None:
    """The slope of log processor seconds over log ratings; None of a step that is short, or measured once.

    Steps under 2 s at the largest log are short.
    """
    points = [(one.ratings, one.steps[step].cpu_seconds) for one in nights if step in one.steps]
    ratings, seconds = np.array(sorted(points)).T
    if len(set(ratings)) < 2 or seconds[-1] <= ENOUGH:
        return None
    # The system counts processor time in hundredths of a second.
    return float(np.polyfit(np.log(ratings), np.log(np.maximum(seconds, 0.01)), 1)[0])


def growth(nights: Sequence[Night]) -> str:
    """A table of processor seconds, step by scale, with the exponent of each step."""
    rows = []
    for step in names(nights):
        slope = exponent(nights, step)
        limit = LIMIT_OF_SORTS if step in SORTS else LIMIT
        seconds = [f"{one.steps[step].cpu_seconds:,.1f}" if step in one.steps else "" for one in nights]
        rows.append([step, *seconds, "" if slope is None else bold(f"{slope:.2f}", slope > limit)])
    return table(["processor seconds", *map(heading, nights), "exponent"], rows)


def peaks(nights: Sequence[Night]) -> str:
    """A table of peak memory, step by scale."""
    rows = [
        [step, *(f"{one.steps[step].peak_mb:,.0f}" if step in one.steps else "" for one in nights)]
        for step in names(nights)
    ]
    return table(["peak MiB", *map(heading, nights)], rows)


def ratios(few: Night, many: Night) -> str:
    """A table of processor seconds of two nights whose films differ, with the ratio of each step."""
    rows = []
    for step in names([few, many]):
        costs = [one.steps[step].cpu_seconds if step in one.steps else 0.0 for one in (few, many)]
        ratio = max(costs[1], 0.01) / max(costs[0], 0.01)
        seconds = [f"{cost:,.1f}" for cost in costs]
        rows.append([step, *seconds, bold(f"{ratio:.2f}", costs[1] > ENOUGH and ratio > LIMIT_OF_FILMS)])
    return table(["processor seconds", heading(few), heading(many), "ratio"], rows)


def with_workers(one: Night) -> str:
    """A table of the wall seconds that numbers of workers would take, simulated.

    Shards go to whoever is free, the longest first; all else is done by one process, as measured.
    """
    header = [f"seconds by workers, {one.source}", *map(str, WORKERS)]
    cut = {step: [makespan(seconds, n) for n in WORKERS] for step, seconds in one.shards.items()}
    rest = one.steps[COMMAND].seconds - sum(map(sum, one.shards.values()))
    rows = [[step, *(f"{seconds:,.1f}" for seconds in by_workers)] for step, by_workers in cut.items()]
    whole = [rest + sum(step) for step in zip(*cut.values(), strict=True)]
    return table(header, [*rows, [COMMAND, *(f"{seconds:,.1f}" for seconds in whole)]]) if cut else ""


def makespan(seconds: Iterable[float], n_workers: int) -> float:
    """When the last of the workers is done if each takes the longest task that is left.

    Longest processing time first is at most 4/3 of the best schedule: R. L. Graham, Bounds on Multiprocessing
    Timing Anomalies, SIAM Journal on Applied Mathematics 17 (1969), https://doi.org/10.1137/0117039.
    """
    busy_until = [0.0] * n_workers
    for task in sorted(seconds, reverse=True):
        heapq.heapreplace(busy_until, busy_until[0] + task)
    return max(busy_until)


def names(nights: Iterable[Night]) -> list[str]:
    """Steps that any of the nights has, the whole command last."""
    steps = dict.fromkeys(step for one in nights for step in one.steps if step != COMMAND)
    return [*steps, COMMAND]


def heading(one: Night) -> str:
    """The source without its name, and its ratings."""
    return f"{one.source.removeprefix('synthetic:')} ({one.ratings:,})"


def bold(text: str, is_off_limits: bool) -> str:
    """The text, in bold where it is off limits."""
    return f"**{text}**" if is_off_limits else text


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, the first column left, the others right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


N_COLOURS = 10
"""Colours of matplotlib's cycle."""


def plot(nights: Sequence[Night], file: Path) -> None:
    """Plot processor seconds of the long steps against ratings, both in logarithms; grey is linear."""
    plt.rcParams["svg.hashsalt"] = "scale"
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    ordered = sorted(nights, key=lambda one: one.ratings)
    points = {
        step: [(one.ratings, one.steps[step].cpu_seconds) for one in ordered if step in one.steps]
        for step in names(nights)
    }
    # The longest first, as its line is the highest; after ten colours they come again, dashed.
    long = sorted(
        (step for step in points if points[step][-1][1] > ENOUGH), key=lambda step: -points[step][-1][1]
    )
    for number, step in enumerate(long):
        slope = exponent(nights, step)
        label = step if slope is None else f"{step}, {slope:.2f}"
        style = "o-" if number < N_COLOURS else "o--"
        axes.plot(*zip(*points[step], strict=True), style, markersize=3, label=label)
    ratings = np.array([ordered[0].ratings, ordered[-1].ratings])
    for seconds in (0.1, 1, 10, 100):
        axes.plot(ratings, seconds * ratings / ratings[0], color="#dddddd", linewidth=1, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="ratings", ylabel="processor seconds")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, title="step, exponent")
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()

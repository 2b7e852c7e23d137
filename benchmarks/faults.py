"""Faults: mutated sources, kills, full disks. Nothing may end in a traceback, and no row may be lost.

    python -m benchmarks.faults [--examples 1000] [--kills 10] [--full-runs 10] [--seconds 600] [--seed 0]

Mutated files: hypothesis changes bytes and lines of sources in every layout, logs of behaviour and reports of
what was shown among them, one ingest each; each ends in a line that says what to do, or every row read is in
the log or in the quarantine. Kills: an ingest and a publication are killed at random moments (SIGKILL); the
next one heals, and every rating is there once. Full disks: no file of theirs may grow beyond a limit
(RLIMIT_FSIZE), which writers meet as they meet a full disk; of an ingest, and of the commands hourly and
nightly, which must end in one line and find all whole when they run again. Prints a line a part, and exits
with 1 after any failure.
"""

import argparse
import itertools
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.commands import MATINEE
from benchmarks.server import server
from warehouse import faults, health
from warehouse.errors import MatineeError
from warehouse.events import exposures
from warehouse.events import log as event_log
from warehouse.sources.synthetic.data import Synthetic

HOSTILE = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"::",
    b",",
    b'"',
    b"\n",
    b"\r\n",
    "١".encode(),
    b"1e400",
    b"-1",
    b"9" * 25,
)
"""What mutations put between bytes."""

SIZES = (0, 1_000, 4_000, 10_000, 20_000, 40_000)
"""Bytes of a file at most, on a full disk."""

SIZES_OF_RUNS = (500_000, 4_000, 2_000_000, 64_000, 5_000_000)
"""The same where nightly and hourly runs publish files of about six million."""

SMALL = ("--set", "recall.channels=[popular,segment,two_tower]")
"""Settings of those runs."""

REFUSED = 10
"""Exit code of an ingest that ended with a line."""

USERS_FAULT = 2
"""Exit code of the command after such a line."""

LAYOUTS = ("dat", "csv", "tab", "zip", "file", "behaviour", "shown")

ROUND = 100
"""Mutated sources between two looks at the clock."""


def main(arguments: Sequence[str] | None = None) -> None:
    """All parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000, help="mutated sources")
    parser.add_argument("--kills", type=int, default=10, help="ingests that are killed")
    parser.add_argument("--full-runs", type=int, default=10, help="hourly and nightly runs on full disks")
    parser.add_argument("--seconds", type=float, default=600, help="mutations end after that")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.getLogger("matinee").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        sources = write_sources(Path(folder, "sources"))
        failures = mutate(sources, Path(folder), options.examples, options.seconds, options.seed)
        failures += kill(sources["dat"], Path(folder), options.kills, random.Random(options.seed))
        failures += fill(sources["dat"], Path(folder))
        failures += fill_runs(Path(folder), options.full_runs)
    print(f"{len(failures)} failures", *failures[:5], sep="\n")
    sys.exit(1 if failures else 0)


def write_sources(folder: Path) -> dict[str, Path]:
    """A small data set in every layout."""
    made = Synthetic(0.002, seed=0)
    made.write(folder / "dat")
    csv = folder / "csv"
    csv.mkdir()
    ratings = pl.concat(made.ratings())
    ratings.columns = ["userId", "movieId", "rating", "timestamp"]
    ratings.write_csv(csv / "ratings.csv")
    films = made.items().select(movieId="item_id", title="title", genres=pl.col("genres").list.join("|"))
    films.write_csv(csv / "movies.csv")
    tab = folder / "tab"
    tab.mkdir()
    ratings.write_csv(tab / "u.data", separator="\t", include_header=False)
    flags = "|".join("01"[number % 2] for number in range(19))
    of_film = films.select(
        "movieId", "title", *(pl.lit("").alias(name) for name in "abc"), flags=pl.lit(flags)
    )
    of_film.write_csv(tab / "u.item", separator="|", include_header=False, quote_style="never")
    person = made.users().select("user_id", "age", "gender", pl.lit("writer"), "zip")
    person.write_csv(tab / "u.user", separator="|", include_header=False)
    behaviour = Path(shutil.copytree(csv, folder / "behaviour"))
    watched = pl.concat(Synthetic(0.002, seed=0, watch=True).ratings())
    watched.drop("expected_seconds").write_csv(behaviour / "ratings.csv")
    with zipfile.ZipFile(folder / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (folder / "dat").iterdir():
            archive.write(file, file.name)
    shown = folder / "shown"
    shown.mkdir()
    at = pl.from_epoch("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    report = ratings.select(user_id="userId", item_id="movieId", shown_at=at, rank=pl.lit(1))
    report.write_csv(shown / "shown.csv")
    whole = {
        "dat": folder / "dat",
        "csv": csv,
        "tab": tab,
        "zip": folder / "whole.zip",
        "file": folder / "dat",
    }
    return whole | {"behaviour": behaviour, "shown": shown}


def mutate(sources: dict[str, Path], folder: Path, examples: int, seconds: float, number: int) -> list[str]:
    """Ingest mutated copies; returns what went wrong."""
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    event_log.ingest(folder / "films", str(sources["csv"]))
    end = time.monotonic() + seconds

    def ingested(layout: str, data: st.DataObject) -> None:
        place = folder / "mutated"
        shutil.rmtree(place, ignore_errors=True)
        source = _copy(sources[layout], place / "source", layout)
        file = data.draw(st.sampled_from(sorted(source.iterdir())))
        file.write_bytes(_mutated(file.read_bytes(), data))
        if layout == "zip":
            source = file
        home, log, named = place / "home", "events", source
        if layout == "file":
            named = source / "ratings.dat"
        elif layout == "shown":
            shutil.copytree(folder / "films", home)
            log, named = "exposures", file
        outcome, failure = _outcome(home, str(named), log)
        outcomes[outcome] += 1
        if failure:
            failures.append(f"{layout}, {file.name}: {failure}")

    # In rounds: what is drawn within one must not depend on the clock.
    while outcomes.total() < examples and time.monotonic() < end:
        _round(ingested, min(ROUND, examples - outcomes.total()), hash((number, outcomes.total())))
        print(f"\r{outcomes.total():,} mutated sources, {len(failures)} failures", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(f"{outcomes.total():,} mutated sources: {dict(outcomes)}", flush=True)
    return failures


def _round(ingested: Callable[[str, st.DataObject], None], examples: int, number: int) -> None:
    """Draw examples, by a seed of their own."""
    limits = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(limits(given(st.sampled_from(LAYOUTS), st.data())(ingested)))()


def _outcome(home: Path, source: str, log: str = "events") -> tuple[str, str | None]:
    """The outcome of an ingest into a log, and what is wrong about it."""
    try:
        report = (exposures.record if log == "exposures" else event_log.ingest)(home, source)
    except MatineeError as error:
        several = "\n" in str(error)
        return "refused", "several lines" if several else None
    except Exception as error:
        line = faults.explained(error, home)
        return "explained" if line else "traceback", None if line else repr(error)
    rows = report.rows_logged + sum(report.quarantined.values())
    is_whole = rows + report.impressions == report.rows_read
    if not is_whole or _rows(home, log) + _rows(home, "quarantine") != rows:
        return "lost", f"{report.rows_read} rows read, {rows} logged or in quarantine"
    return "ingested", None


def _rows(home: Path, folder: str) -> int:
    return sum(pq.read_metadata(file).num_rows for file in (home / folder).glob("*.parquet"))


def _copy(source: Path, target: Path, layout: str) -> Path:
    if layout == "zip":
        target.mkdir(parents=True)
        shutil.copy(source, target / "source.zip")
        return target
    return Path(shutil.copytree(source, target))


def _mutated(text: bytes, data: st.DataObject) -> bytes:
    """Bytes with some of them changed, cut out, doubled or with something hostile between."""
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from((0, 1, 3, 20, 2000)))
        middle = text[start : start + length]
        kind = data.draw(st.sampled_from(("hostile", "random", "cut", "double", "truncate")))
        if kind == "truncate":
            text = text[:start]
            continue
        new = {"double": middle * 2}.get(kind, b"")
        if kind == "hostile":
            new = data.draw(st.sampled_from(HOSTILE))
        elif kind == "random":
            new = data.draw(st.binary(max_size=8))
        text = text[:start] + new + text[start + length :]
    return text


def kill(source: Path, folder: Path, times: int, rng: random.Random) -> list[str]:
    """Kill an ingest at random moments, then let it end; returns what went wrong."""
    expected = event_log.ingest(folder / "unkilled", str(source))
    started = time.monotonic()
    _in_process(folder / "timed", source)
    whole, failures = time.monotonic() - started, []
    for number in range(times):
        home = folder / f"killed-{number}"
        _in_process(home, source, seconds=rng.random() * whole)
        event_log.ingest(home, str(source))
        if _rows(home, "events") != expected.rows_logged:
            failures.append(f"killed ingest {number}: {_rows(home, 'events')} ratings")
        failures += [f"killed ingest {number}: {found}" for found in _findings(home)]
    print(f"{times} ingests killed within {whole:.1f} s", flush=True)
    return failures


def fill(source: Path, folder: Path) -> list[str]:
    """Ingest where no file may grow beyond some sizes, then where it may; returns what went wrong."""
    failures, refused = [], 0
    for size in SIZES:
        home = folder / f"full-{size}"
        code = _in_process(home, source, limit=size)
        refused += code == REFUSED
        if code not in (0, REFUSED):
            failures.append(f"full at {size} bytes: exit code {code}")
        if event_log.ingest(home, str(source)).status != ("known" if code == 0 else "new"):
            failures.append(f"full at {size} bytes: the log has not what the ingest said")
        failures += [f"full at {size} bytes: {found}" for found in _findings(home)]
    print(f"{len(SIZES)} disks of which {refused} were full", flush=True)
    return failures


def fill_runs(folder: Path, times: int) -> list[str]:
    """Run hourly and nightly by turns where no file may grow beyond some size, then where it may."""
    home, failures, refused = folder / "published", list[str](), 0
    with server(folder / "prefect"):
        # A nightly of half the log: the rest is new to the next one, and to an hourly.
        source = ("--source", "synthetic:0.02", "--as-of", "2002-01-01")
        failures += _complaints(_matinee(home, "nightly", *source, *SMALL), code=0)
        runs = itertools.product(SIZES_OF_RUNS, (("hourly",), ("nightly", *SMALL)))
        for size, command in itertools.islice(runs, times):
            name = f"{command[0]} on a disk full at {size:,} bytes"
            full = folder / f"{command[0]}-{size}"
            shutil.copytree(home, full, symlinks=True)
            stopped = _matinee(full, *command, limit=size)
            refused += stopped.returncode != 0
            found = _complaints(stopped, stopped.returncode and USERS_FAULT)
            found += [finding for finding in _findings(full) if "did not end" not in finding]
            found += _complaints(_matinee(full, *command), code=0)
            failures += [f"{name}: {what}" for what in found]
            shutil.rmtree(full)
    print(f"{times} runs of which {refused} met a full disk", flush=True)
    return failures


def _matinee(home: Path, *words: str, limit: int | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own, where no file may have more bytes than the limit."""
    environment = os.environ | {"MATINEE_HOME": str(home)}
    before = None if limit is None else partial(_limit_files, limit)
    # What it says goes through a pipe: the limit is for files.
    return subprocess.run(
        [MATINEE, *words], env=environment, preexec_fn=before, capture_output=True, text=True
    )


def _complaints(ended: "subprocess.CompletedProcess[str]", code: int) -> list[str]:
    """What is wrong about how a command ended: its exit code, or more than a line of an error."""
    lines = ended.stderr.splitlines()
    found = [] if ended.returncode == code else [f"exit code {ended.returncode}, {' '.join(lines[-1:])}"]
    said = [line for line in lines if line.startswith("matinee: ")]
    if code and (len(said) != 1 or said[0] != lines[-1]):
        found.append(f"no line at the end, but {' '.join(lines[-1:])}")
    return found + [line for line in lines if line.startswith("Traceback")]


def _findings(home: Path) -> list[str]:
    return [str(found) for part in health.examine(home) for found in part.findings]


def _in_process(
    home: Path, source: Path, seconds: float | None = None, limit: int | None = None
) -> int | None:
    """Ingest in a process of its own, which is killed after some seconds; its exit code."""
    # Not a fork of this process, whose threads it would not have.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.faults"])
    process = context.Process(target=_ingest, args=(home, source, limit))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


def _ingest(home: Path, source: Path, limit: int | None) -> None:
    """Ingest where no file may have more bytes than the limit."""
    home.mkdir()
    if limit is not None:
        _limit_files(limit)
    kind, failure = _outcome(home, str(source))
    os._exit(1 if failure else 0 if kind == "ingested" else REFUSED)


def _limit_files(size: int) -> None:
    """No file that this process writes may have more bytes from now on."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()

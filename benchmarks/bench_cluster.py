"""The part of a run that is cut by users: one process of one thread against workers of one thread each.

    python -m benchmarks.bench_cluster [HOME] [--workers 1,2,3] [--shard-users N] [--kills N]

Computes the lists of the newest full release of a home (``matinee nightly`` made it) again, in copies of its
run: first in this process, then on clusters of so many workers on this machine. Prints seconds, also those
in which workers that have just been started load the program and the run, the ratio to one process, and
whether every file of lists, pools and vectors is the same. With ``--kills`` the last cluster does it once
more while one of its workers is killed at so many random moments. Last, two processes that know nothing of
each other do all of it at once: by how much that is slower is what two processors of this machine cost.
"""

import argparse
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from threading import Timer
from typing import Any

# Read when the libraries load, here and in the workers.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

import numpy as np
import polars as pl
from distributed import Client, LocalCluster

from tasks import data as run_data
from tasks import engine
from tasks.settings import home as default_home
from tasks.shards import recommend as shard
from warehouse.errors import MatineeError
from warehouse.releases import journal
from warehouse.runs.run import Run

SEED = 0
"""Seed of the moments at which workers are killed."""

LISTS = ("recommended", "pools", "user_embeddings")
"""Folders of a run that its shards write."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("home", nargs="?", type=Path, help="default: MATINEE_HOME")
    parser.add_argument("--shard-users", type=int, help="users of a shard; default: as the release was made")
    parser.add_argument("--workers", default="1,2,3", help="sizes of the clusters; default: 1,2,3")
    parser.add_argument("--kills", type=int, default=0, help="workers of the last cluster that are killed")
    options = parser.parse_args(arguments)
    run = newest(options.home or default_home())
    if options.shard_users:
        run = with_engine(run, shard_users=options.shard_users)
    with tempfile.TemporaryDirectory(dir=run.home) as folder:
        alone = Path(folder, "alone")
        seconds = computed(run, alone, None)
        print(f"run {run.id}: {n_shards(run)} shards of users")
        print(f"one process       {seconds:8.1f} s", flush=True)
        sizes = [int(size) for size in options.workers.split(",")]
        again = [(sizes[-1], options.kills)] if options.kills else []
        for workers, kills in [*((size, 0) for size in sizes), *again]:
            home = Path(folder, f"{workers}-{kills}")
            taken = by_workers(run, home, workers, kills, seconds)
            verdict = "the same rows" if same(run.id, alone, home) else "OTHER ROWS"
            killed = f", {kills} of them killed" if kills else ""
            times = f"{seconds / taken:5.2f} times as fast"
            print(f"{workers} workers         {taken:8.1f} s   {times}, {verdict}{killed}", flush=True)
        both = at_once(run, [Path(folder, "first"), Path(folder, "second")])
        print(
            f"twice, at once    {both:8.1f} s   {2 * seconds / both:5.2f} times as fast as twice, one by one"
        )


def newest(home: Path) -> Run:
    """The newest full release of a home, with all that its lists are computed from.

    Raises:
        MatineeError: there is none.
    """
    found = journal.newest_full(home, datetime.max)
    if found is None:
        raise MatineeError(f"{home}: no full release: run `matinee nightly` first")
    return Run.read(home, found)


def n_shards(run: Run) -> int:
    """Shards that the users of a run are cut into."""
    return len(engine.shards(run, len(run_data.load(run).target_users)))


def computed(run: Run, home: Path, address: str | None) -> float:
    """Seconds in which the shards of a run are done, in a copy of it in another home."""
    copied(run, home)
    copy = with_engine(replace(run, home=home), address=address)
    shards = n_shards(copy)
    before = time.perf_counter()
    engine.spread(shard.recommend_shard, "recommend", copy, shards, lambda done: None)
    shard.forget()
    return time.perf_counter() - before


def by_workers(run: Run, home: Path, workers: int, kills: int, alone: float) -> float:
    """Seconds in which a new cluster does it, some of whose workers are killed in what it takes ``alone``."""
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=None
    ) as cluster:
        moments = np.random.default_rng(SEED).uniform(0, alone / workers, kills)
        timers = [
            Timer(moment, kill_one, (cluster.scheduler_address, seed)) for seed, moment in enumerate(moments)
        ]
        for timer in timers:
            timer.start()
        taken = computed(run, home, cluster.scheduler_address)
        for timer in timers:
            timer.join()
        return taken


def kill_one(address: str, seed: int) -> None:
    """Kill a worker of a cluster; its nanny starts another one."""
    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        pids = sorted(client.run(os.getpid).values())
    os.kill(int(np.random.default_rng(seed).choice(pids)), signal.SIGKILL)


def at_once(run: Run, homes: Sequence[Path]) -> float:
    """Seconds in which as many new processes as homes each do all shards, in copies of their own."""
    with ProcessPoolExecutor(len(homes), mp_context=get_context("spawn")) as pool:
        return max(pool.map(computed, [run] * len(homes), homes, [None] * len(homes)))


def with_engine(run: Run, **settings: Any) -> Run:
    """The run with other settings of the engine."""
    return replace(run, config={**run.config, "engine": {**run.config["engine"], **settings}})


def copied(run: Run, home: Path) -> None:
    """Links to the files of a run and of those before it, in another home, without what its shards wrote."""

    def lists(folder: str, names: list[str]) -> set[str]:
        return {*LISTS, "shards"} if Path(folder) == run.folder else set()

    target = home / "runs" / run.id
    shutil.copytree(run.folder, target, copy_function=os.link, ignore=lists)
    if run.parent_id is not None:
        parent = run.parent()
        shutil.copytree(parent.folder, home / "runs" / parent.id, copy_function=os.link)


def same(run_id: str, left: Path, right: Path) -> bool:
    """True if the lists of a run are the same in two homes, row by row."""
    here, there = written(left / "runs" / run_id), written(right / "runs" / run_id)
    return here.keys() == there.keys() and all(
        pl.read_parquet(here[name]).equals(pl.read_parquet(there[name])) for name in here
    )


def written(run: Path) -> dict[str, Path]:
    """The files that shards wrote into the folder of a run, by name."""
    files = (file for name in LISTS for file in (run / name).rglob("*.parquet"))
    return {str(file.relative_to(run)): file for file in files}


if __name__ == "__main__":
    main()

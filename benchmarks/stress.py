"""Readers in three other processes query without pause while releases are published and rolled back.

    python -m benchmarks.stress [--seconds 30] [--source synthetic:0.1] [--home HOME] [--set KEY=VALUE]...

Prints reads, publications and rollbacks, and exits with 1 after any error or torn read: a read is torn if
its rows come from more than one release, or if a user's list is not whole.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from tasks import settings
from tasks.config import Configuration
from tasks.steps.features import build_features
from tasks.steps.ingest import ingest
from tasks.steps.merge import fit_merge
from tasks.steps.publish import publish
from tasks.steps.recall import recall
from tasks.steps.recommend import recommend
from tasks.steps.segments import recommend_segments
from tasks.steps.start import start
from warehouse import store
from warehouse.releases import journal, publication
from warehouse.releases.rollback import roll_back
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run, new_run_id, utc_now

QUICK = {"recall": {"channels": ["popular", "first_session", "item_cf"]}, "releases": {"keep": 3}}
"""A few quick channels; few releases kept, so that some are deleted while people read."""

READER = """
import contextlib, json, pathlib, random, sys, tempfile, time
import duckdb
home, n_users, top_n, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
folder = tempfile.TemporaryDirectory()
def published():
    if "://" not in home:
        return duckdb.connect(home + "/serving/current.duckdb", read_only=True)
    import s3fs
    files = s3fs.S3FileSystem(use_listings_cache=False)
    while True:
        pointer = json.loads(files.cat_file(home + "/serving/current.json"))
        file = pathlib.Path(folder.name) / (pointer["release_id"] + ".duckdb")
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile: the pointer names another one
            if not file.exists():
                for old in file.parent.iterdir():
                    old.unlink()
                files.get_file(home + "/" + pointer["key"], file)
            return duckdb.connect(str(file), read_only=True)
WHOLE = '''
    select count(*), count(distinct release_id), count(distinct user_id), max(release_id)
    from recommendations
'''
MINE = '''
    select list(rank order by rank), max(release_id) from recommendations
    where user_id = (select user_id from users order by user_id limit 1 offset ?)
'''
REGISTERED = 'select count(*) from releases where release_id = ?'
reads, problems, end = 0, [], time.monotonic() + seconds
while time.monotonic() < end:
    try:
        with published() as con:
            *whole, release = con.execute(WHOLE).fetchall()[0]
            mine = con.execute(MINE, [random.randrange(n_users)]).fetchall()[0]
            registered = con.execute(REGISTERED, [release]).fetchall()
        if whole != [n_users * top_n, 1, n_users] or registered != [(1,)]:
            problems.append(f"torn: {whole} {registered}")
        if mine != (list(range(1, top_n + 1)), release):
            problems.append(f"torn list: {mine} in {release}")
    except Exception as error:
        problems.append(repr(error))
    reads += 1
print(json.dumps({"reads": reads, "problems": problems}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish and roll back for a while, with readers beside."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--source", default=settings.source() or "synthetic:0.1")
    parser.add_argument("--home", help="A new home, a folder or on a store; by default a temporary folder")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set, QUICK)
    log_to_terminal()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MATINEE_HOME"] = options.home or folder
        home = settings.home()
        if journal.entries(home):
            sys.exit(f"{options.home} has releases: name a new home")
        run = first_release(home, options.source, config)
        n_users = files.read_table(run, "users").height
        readers = [start_reader(home, n_users, config.top_n, options.seconds) for _ in range(3)]
        published, rolled_back = publish_for(home, run, config, options.seconds)
        answers = [json.loads(reader.communicate()[0]) for reader in readers]
    problems = [problem for answer in answers for problem in answer["problems"]]
    print(f"{sum(answer['reads'] for answer in answers):,} reads by {len(readers)} processes")
    print(f"{published} publications and {rolled_back} rollbacks in {options.seconds:.0f} s")
    print(f"{len(problems)} errors or torn reads", *problems[:5], sep="\n")
    sys.exit(1 if problems else 0)


def first_release(home: Path, source: str, config: Configuration) -> Run:
    """A computed and published run, of the steps of the nightly flow without the training of a ranker."""
    run: Run = start.fn(home, None, "cold", config, ingest.fn(home, source))
    build_features.fn(run)
    for channel in config.recall.channels:
        recall.fn(run, channel)
    fit_merge.fn(run)
    recommend.fn(run)
    recommend_segments.fn(run)
    publish.fn(run)
    return run


def start_reader(home: Path, n_users: int, top_n: int, seconds: float) -> "subprocess.Popen[str]":
    """A process that reads until its time is over."""
    words = [sys.executable, "-c", READER, store.name(home), str(n_users), str(top_n), str(seconds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def publish_for(home: Path, run: Run, config: Configuration, seconds: float) -> tuple[int, int]:
    """Publish copies of a run under new ids, rolling back after every second one."""
    end, published, rolled_back = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        now = utc_now()
        copy = replace(run, id=new_run_id(now), created_at=now, journal_length=len(journal.entries(home)))
        lifecycle.begin(copy)
        files.link(run, copy, "**/*.parquet")
        for file in copy.folder.glob("**/*.parquet"):
            if "release_id" in pl.read_parquet_schema(file):
                table = str(file.relative_to(copy.folder).with_suffix(""))
                frame = files.read_table(copy, table)
                files.write_table(copy, table, frame.with_columns(release_id=pl.lit(copy.id)))
        lifecycle.finish(copy, {"n_events": 0})
        publication.publish(copy, config.top_n, config.releases.keep)
        published += 1
        if published % 2 == 0:
            roll_back(home)
            rolled_back += 1
        run = copy
    return published, rolled_back


if __name__ == "__main__":
    main()

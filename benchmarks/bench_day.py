"""A day of hourly publications, while three other processes ask for lists without pause.

    MATINEE_SOURCE=SOURCE python -m benchmarks.bench_day [--day 2000-11-20] [--hours 24] [--set KEY=VALUE]...

A nightly run publishes the release as of the day's start, then one hourly run follows the other, each as of
the next hour. Readers open the published file anew for every ten questions for a user's list, and look at all
lists then: a read is torn if lists are not whole, or rows are of releases that the file does not know. Prints
publications, reads and milliseconds of a question, and exits with 1 after any error or torn read. The server
is that of PREFECT_API_URL, else one of this benchmark's own.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import configuration
from benchmarks.commands import hourly, nightly
from benchmarks.home import filled_home
from warehouse.releases import journal

READERS = 3

READER = """
import json, pathlib, random, sys, time
import duckdb
current, stop = sys.argv[1], pathlib.Path(sys.argv[2])
TORN = '''
    with lists as (
        select user_id, count(*) as n, max(rank) as last, count(distinct item_id) as items
        from recommendations group by user_id
    )
    select
        (select count(*) from lists where n <> last or n <> items)
        + (select count(*) from users anti join lists using (user_id))
        + (select count(*) from recommendations anti join releases using (release_id))
'''
MINE = 'select rank, item_id, title, reason from recommendations where user_id = ? order by rank'
seconds, reads, problems = [], 0, []
while not stop.exists():
    try:
        with duckdb.connect(current, read_only=True) as con:
            users = [user for (user,) in con.execute('select user_id from users').fetchall()]
            for user in random.sample(users, 10):
                started = time.perf_counter()
                mine = con.execute(MINE, [user]).fetchall()
                seconds.append(time.perf_counter() - started)
                if [row[0] for row in mine] != list(range(1, len(mine) + 1)) or not mine:
                    problems.append(f'torn list of user {user}')
            if torn := con.execute(TORN).fetchall()[0][0]:
                problems.append(f'{torn} lists or rows are torn')
    except Exception as error:
        problems.append(repr(error))
    reads += 1
print(json.dumps({'reads': reads, 'seconds': seconds, 'problems': problems}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--day", default="2000-11-20", help="the first hour is its first, in UTC")
    parser.add_argument("--hours", type=int, default=24)
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    begin = datetime.fromisoformat(options.day)
    with filled_home() as home:
        stop = home / "stop"
        nightly(options.set, as_of=begin.isoformat())
        readers = [_reader(home, stop) for _ in range(READERS)]
        for hour in range(options.hours):
            hourly((begin + timedelta(hours=hour + 1)).isoformat())
        stop.touch()
        answers = [json.loads(reader.communicate()[0]) for reader in readers]
        published = len(journal.publications(home)) - 1
    _print(options.hours, published, answers)
    sys.exit(1 if any(answer["problems"] for answer in answers) else 0)


def _reader(home: Path, stop: Path) -> "subprocess.Popen[str]":
    """A process that reads until the file ``stop`` is there."""
    words = [sys.executable, "-c", READER, str(home / "serving" / "current.duckdb"), str(stop)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def _print(hours: int, published: int, answers: list[dict[str, Any]]) -> None:
    milliseconds = 1000 * np.concatenate([answer["seconds"] for answer in answers])
    problems = [problem for answer in answers for problem in answer["problems"]]
    median, high = np.quantile(milliseconds, [0.5, 0.99])
    print(f"{published} publications by {hours} hourly runs")
    print(f"{sum(answer['reads'] for answer in answers):,} reads by {len(answers)} processes")
    print(f"{len(milliseconds):,} questions for a list: median {median:.2f} ms, 99 % within {high:.1f} ms")
    print(f"{len(problems)} errors or torn reads", *problems[:5], sep="\n")


if __name__ == "__main__":
    main()

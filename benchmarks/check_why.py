"""Does ``matinee why`` agree with what is published? Random pairs of a user and a film, in and out of lists.

    MATINEE_HOME=path/to/home python -m benchmarks.check_why [--pairs 1000] [--seed 0] [--calls 3]

Half of the pairs are of lists, half are drawn from all. A pair agrees if its way ends at the published rank
and score, or outside of the list where it is not published; and if the merged score and, but for rounding,
the scores by channel are those that the run left of the pool it ranked, or the film lies outside of that
pool. The command is timed in processes of its own, imports included.
"""

import argparse
import math
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from benchmarks.commands import MATINEE
from tasks import settings
from tasks.commands.answer import Answer
from tasks.commands.why import why
from warehouse.releases import serving
from warehouse.runs import files
from warehouse.runs.run import Run

Pair = tuple[int, int]


def main(arguments: Sequence[str] | None = None) -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000, help="pairs of a user and a film")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs that are drawn")
    parser.add_argument("--calls", type=int, default=3, help="calls of the command that are timed")
    options = parser.parse_args(arguments)
    home = settings.home()
    pairs = drawn(home, options.pairs, options.seed)
    pools, lost, broken = pools_of(home, pairs), Counter[str](), []
    started = time.perf_counter()
    for pair in pairs:
        answer = why(str(pair[0]), str(pair[1]))
        lost[answer["lost"] or "in the list"] += 1
        if not agrees(answer, pools.get((answer["computed_by"], *pair))):
            broken.append(pair)
    seconds = time.perf_counter() - started
    for stage, count in lost.most_common():
        print(f"{stage:<28}{count:>8,} pairs")
    print(f"{'agree':<28}{len(pairs) - len(broken):>8,} of {len(pairs):,} pairs {broken[:5] or ''}")
    print(f"{'a pair, in this process':<28}{seconds / len(pairs):>8.3f} s")
    for user, item in pairs[: options.calls]:
        started = time.perf_counter()
        subprocess.run([MATINEE, "why", str(user), str(item)], check=True, stdout=subprocess.DEVNULL)
        print(f"{f'the command, {user} {item}':<28}{time.perf_counter() - started:>8.2f} s")


def drawn(home: Path, n: int, seed: int) -> list[Pair]:
    """Pairs of lists and any other ones, by turns."""
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        listed = con.sql("select user_id, item_id from recommendations order by all").pl()
        users, items = (con.sql(f"from {table} order by all").pl() for table in ("users", "items"))
    rng = np.random.default_rng(seed)
    ours = listed[rng.integers(0, listed.height, n - n // 2)].rows()
    theirs = zip(
        users["user_id"].gather(rng.integers(0, users.height, n // 2)),
        items["item_id"].gather(rng.integers(0, items.height, n // 2)),
        strict=True,
    )
    return [pair for both in zip(ours, theirs, strict=False) for pair in both]


def pools_of(home: Path, pairs: Sequence[Pair]) -> dict[tuple[str, int, int], dict[str, Any]]:
    """What runs left of the candidates that they ranked, by run, user and film, of these pairs."""
    wanted = pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row").unique()
    found = {}
    for folder in sorted(home.glob("runs/*/pools")):
        pool = files.read_parts(Run.read(home, folder.parent.name), "pools")
        for row in pool.join(wanted, on=["user_id", "item_id"], how="semi").iter_rows(named=True):
            found[folder.parent.name, row["user_id"], row["item_id"]] = row
    return found


def agrees(answer: Answer, candidate: dict[str, Any] | None) -> bool:
    """True if a way ends as published and leads through the scores of the pool, or lies outside of it."""
    was_ranked = answer["lost"] in (None, "rank")
    if not answer["agrees"] or was_ranked != (candidate is not None):
        return False
    if candidate is None:
        return True
    scores = {f"score_{row['channel']}": row["score"] for row in answer["recall"]}
    same = all(_alike(candidate[name], score) for name, score in scores.items())
    return same and bool(candidate["score"] == answer["merge"]["score"])


def _alike(left: float | None, right: float | None) -> bool:
    """True for scores of a channel that are equal but for rounding: towers round by the size of a batch."""
    return left == right or (
        left is not None and right is not None and math.isclose(left, right, rel_tol=1e-4, abs_tol=1e-5)
    )


if __name__ == "__main__":
    main()

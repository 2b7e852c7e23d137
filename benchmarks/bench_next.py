"""``matinee nightly --objective next``, judged by each user's last film.

    python -m benchmarks.bench_next path/to/ml-1m [--set KEY=VALUE]...

The flow runs from the command line, in an empty home, on a copy of the source without each user's last rating
(of equal times the last in the file): the training part of ``leave-one-out``. Prints the seconds of each
step, and the hit rate and NDCG of the published table.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from benchmarks import configuration
from benchmarks.bench_nightly import run_nightly

LAST = """
select count(*) filter (where rank <= 10) / count(*),
    coalesce(sum(1 / log2(rank + 1)) filter (where rank <= 10), 0) / count(*),
    count(*) filter (where rank <= 50) / count(*),
    count(*)
from last left join recommendations using (user_id, item_id)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder with ratings.dat, movies.dat and users.dat")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    with tempfile.TemporaryDirectory() as folder:
        home, before = Path(folder, "home"), Path(folder, "before")
        last = split(options.source, before)
        run_nightly(["--objective", "next", "--source", str(before)], options.set, home)
        print_metrics(home, last)


def split(source: Path, before: Path) -> pl.DataFrame:
    """Copy the source without each user's last rating; (user_id, item_id) of these."""
    before.mkdir()
    for name in ("movies.dat", "users.dat"):
        shutil.copyfile(source / name, before / name)
    fields = pl.read_csv(source / "ratings.dat", separator=":", has_header=False)
    rows = fields.select(user_id="column_0", item_id="column_2", rating="column_4", at="column_6")
    by_time = rows.sort("user_id", "at", maintain_order=True)
    is_last = pl.col("user_id") != pl.col("user_id").shift(-1, fill_value=-1)
    earlier = by_time.filter(~is_last).select(pl.concat_str(pl.all(), separator="::"))
    earlier.write_csv(before / "ratings.dat", include_header=False)
    return by_time.filter(is_last).select("user_id", "item_id")


def print_metrics(home: Path, last: pl.DataFrame) -> None:
    """Print hit rates and NDCG of the published lists, each with one target."""
    with duckdb.connect(str(home / "serving" / "current.duckdb"), read_only=True) as con:
        con.register("last", last.to_arrow())
        hr10, ndcg10, hr50, users = con.execute(LAST).fetchall()[0]
    print(f"HR@10 {hr10:.4f}  NDCG@10 {ndcg10:.4f}  HR@50 {hr50:.4f}  of {users:,} users")


if __name__ == "__main__":
    main()

"""The shape of a source of ratings: how long its tail is, how much its popular films have, how long it lasts.

    python -m benchmarks.shape SOURCE [SOURCE]...

SOURCE is what ``matinee ingest`` takes, for example a folder with ml-1m or ``synthetic:1:8000``. Prints a row
a source, in Markdown. Films are all of the catalogue, also those that nobody rated; fellow raters are the
fraction of the other users that rated the film of a rating, on average over ratings; top 1 % is the fraction
of the ratings that the most rated hundredth of the films has. Processor seconds are of reading the source.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import polars as pl

from models.dataset import DAY
from warehouse.sources import source as sources

FEW = 10
"""Ratings below which a film is in the tail."""

HEADER = f"""\
| source | ratings | users | films | median a film | under {FEW} | fellow raters | top 1 % | years | cpu s |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    print(HEADER)
    for source in parser.parse_args(arguments).sources:
        print(row(source), flush=True)


def row(source: str) -> str:
    """The cells of a source."""
    started = time.process_time()
    resolved = sources.resolve(source)
    by_film: list[pl.DataFrame] = []
    by_user: list[pl.DataFrame] = []
    times: list[int] = []
    for block in resolved.ratings():
        by_film.append(block.group_by("item_id").len())
        by_user.append(block.group_by("user_id").len())
        at = block["timestamp"].to_numpy()
        times += [int(at.min()), int(at.max())]
    seconds = time.process_time() - started
    n_users = pl.concat(by_user)["user_id"].n_unique()
    raters = (
        pl.concat(by_film).group_by("item_id").agg(pl.col("len").sum())["len"].to_numpy().astype(np.int64)
    )
    catalogue = resolved.items()
    n_films = max(len(raters), 0 if catalogue is None else catalogue.height)
    raters = np.sort(np.concatenate([raters, np.zeros(n_films - len(raters), dtype=np.int64)]))[::-1]
    n = raters.sum()
    cells = [
        f"`{resolved.dataset}`",
        f"{n:,}",
        f"{n_users:,}",
        f"{n_films:,}",
        f"{np.median(raters):,.0f}",
        f"{(raters < FEW).mean():.2f}",
        f"{(raters * (raters - 1)).sum() / n / (n_users - 1):.3f}",
        f"{raters[: n_films // 100].sum() / n:.2f}",
        f"{(max(times) - min(times)) / DAY / 365.25:.1f}",
        f"{seconds:,.1f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

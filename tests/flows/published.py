"""Helpers of the tests of the flows: a home's log, its published tables, the command."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl

from warehouse.events import log as event_log
from warehouse.releases import serving

SOURCE = "synthetic:0.01"


def median_event(home: Path) -> str:
    files = [str(batch.path) for batch in event_log.batches(home)]
    query = "select quantile_disc(event_at, 0.5) from read_parquet($files)"
    return duckdb.execute(query, {"files": files}).fetchall()[0][0].isoformat()


def ask(home: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        return con.execute(query).fetchall()


def cli(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from flows.command.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True)


def lists(home: Path, release: str) -> dict[int, list[tuple]]:
    query = "select user_id, item_id, score, release_id from recommendations order by user_id, rank"
    with duckdb.connect(str(serving.file_of(home, release)), read_only=True) as con:
        found: dict[int, list[tuple]] = {}
        for user_id, *row in con.execute(query).fetchall():
            found.setdefault(user_id, []).append(tuple(row))
        return found


def broken_reasons(home: Path) -> list[tuple]:
    """The rows of the published release whose reason does not hold by the log and the published tables."""
    moment = ask(home, "select max(as_of) from releases")[0][0]
    events = pl.read_parquet(home / "events" / "*.parquet").filter(pl.col("event_at") < moment)
    stars: dict[int, dict[int, float]] = {}
    for user, item, rating in events.sort("event_at").select("user_id", "item_id", "rating").iter_rows():
        stars.setdefault(user, {})[item] = rating
    first = dict(events.group_by("item_id").agg(pl.col("event_at").min()).iter_rows())
    items = {row[0]: row[1:] for row in ask(home, "select item_id, title, genres from items")}
    community = dict(ask(home, "select item_id, community from item_communities"))
    nearest = set(ask(home, "select channel, item_id, neighbour_id from item_similarity where rank = 1"))
    favourites = dict(ask(home, "select user_id, top_genres from user_features"))
    people = {row[0]: row[1:] for row in ask(home, "select user_id, gender, age from users")}
    popular = set(ask(home, "select segment, item_id from default_recommendations"))

    def is_plausible(item: int, watched: int, channels: list[str]) -> bool:
        shared = set(items[item][1]) & set(items[watched][1])
        alike = community.get(item) is not None and community.get(item) == community.get(watched)
        return bool(shared) or alike or any((name, item, watched) in nearest for name in channels)

    def holds(user: int, item: int, channels: list[str], because: int | None, reason: str) -> bool:
        history = stars.get(user, {})
        if because is not None:
            title, rating = items[because][0], history.get(because, 0)
            is_liked = rating >= 4 or rating > sum(history.values()) / max(1, len(history))
            text = f"Because you {'liked' if is_liked else 'watched'} {title}"
            return because in history and reason == text and is_plausible(item, because, channels)
        if reason == "New: first rated within three months":
            # Of a log of less than two months every film would be new.
            is_later = first[item] >= min(first.values()) + timedelta(days=59)
            return is_later and first[item] >= moment - timedelta(days=90)
        if match := re.fullmatch("You watch more (.+) than others do", reason):
            return match[1] in items[item][1] and match[1] in favourites[user]
        gender, age = people[user]
        if reason == "Popular with viewers like you":
            return (f"gender={gender}|age={age}", item) in popular
        if reason == "Popular with everybody":
            return ("all", item) in popular
        if reason.startswith("Found by"):
            return reason == f"Found by {' and '.join(channels[:2])}" and bool(channels)
        return reason == "To fill up your list" and not channels

    query = "select user_id, item_id, channels, because_item_id, reason from recommendations"
    return [row for row in ask(home, query) if not holds(*row)]


def active(home: Path, begin: str, end: str) -> set[int]:
    query = (
        "select distinct user_id from read_parquet($f) "
        "where event_at >= $a::timestamp and event_at < $b::timestamp"
    )
    parameters = {"f": str(home / "events" / "*.parquet"), "a": begin, "b": end}
    return {user for (user,) in duckdb.execute(query, parameters).fetchall()}


def movie_lines(home: Path) -> str:
    """The films of the catalogue as a movies file has them."""
    films = pl.read_parquet(home / "catalog" / "items.parquet")
    return "".join(
        f"{item}::{title}::{'|'.join(genres) or '(no genres listed)'}\n"
        for item, title, genres in films.select("item_id", "title", "genres").iter_rows()
    )

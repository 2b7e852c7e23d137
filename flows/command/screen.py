"""How answers look in a terminal."""

import logging
import os
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Answer = dict[str, Any]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

WIDE = 110
"""Columns of a terminal that has room for genres."""


def log_to_terminal() -> None:
    """Show the pipeline's lines with the time, on stderr."""
    # The pipeline's lines go to Prefect too, but there is none outside a flow run.
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    log = logging.getLogger("matinee")
    log.setLevel(logging.INFO)
    log.handlers = [handler]
    log.propagate = False


def recommendations(answer: Answer) -> None:
    """A user's list with the reasons."""
    user = answer["user"]
    if user is None:
        err.print(
            f"[yellow]User {answer['user_id']} is unknown: this is the list for everybody (segment all).[/]"
        )
    else:
        out.print(_about(user))
    _title("Films for everybody" if user is None else f"Films for user {answer['user_id']}")
    table = _table()
    columns = _film_columns(table)
    table.add_column("why", style="dim", ratio=3)
    for film in answer["recommendations"]:
        table.add_row(*_film(film, columns), Text(film["reason"]))
    out.print(table)
    out.print(f"[dim]release {answer['release_id']}[/]")


def similar(answer: Answer) -> None:
    """A film's neighbours."""
    _title(f"Films like {answer['item']['title']}, by {answer['channel']}")
    table = _table()
    columns = _film_columns(table)
    table.add_column("score", justify="right")
    for film in answer["similar"]:
        table.add_row(*_film(film, columns), f"{film['score']:.3g}")
    out.print(table)
    out.print(f"[dim]item_id {answer['item']['item_id']}, release {answer['release_id']}[/]")


def releases(rows: list[Answer]) -> None:
    """All releases, newest first."""
    _title("Releases")
    table = _table()
    for column in ("", "release", "kind", "as of (UTC)", "events", "source"):
        table.add_column(
            column, justify="right" if column == "events" else "left", no_wrap=column == "release"
        )
    for row in rows:
        table.add_row(
            "[green]current[/]" if row["current"] else "kept" if row["kept"] else "[dim]removed[/]",
            row["release_id"],
            row["kind"],
            row["as_of"].replace("T", " "),
            f"{row['n_events']:,}",
            row["source"],
        )
    out.print(table)


def _title(text: str) -> None:
    out.print(Text(text, style="bold"))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def _film_columns(table: Table) -> list[str]:
    """Add rank, film, year and, on a wide terminal, genres."""
    columns = ["rank", "film", "year", "genres"] if out.width >= WIDE else ["rank", "film", "year"]
    for column in columns:
        table.add_column(
            "" if column == "rank" else column,
            justify="right" if column in ("rank", "year") else "left",
            style={"film": "bold", "genres": "cyan"}.get(column, ""),
            ratio=3 if column == "film" else None,
        )
    return columns


def _film(film: Answer, columns: list[str]) -> list[Text]:
    year = str(film["year"] or "")
    cells = {
        "rank": str(film["rank"]),
        "film": film["title"].removesuffix(f" ({year})"),
        "year": year,
        "genres": ", ".join(film["genres"]),
    }
    return [Text(cells[column]) for column in columns]


def _about(user: Answer) -> str:
    who = {"F": "woman", "M": "man"}.get(user["gender"], "")
    age = f"age group {user['age']}" if user["age"] is not None else ""
    rated = f"{user['n_ratings']:,} ratings"
    mean = f"mean {user['rating_mean']:.2f}" if user["rating_mean"] is not None else ""
    likes = f"likes {', '.join(user['top_genres'])}" if user["top_genres"] else ""
    return "[dim]" + " · ".join(part for part in (who, age, rated, mean, likes) if part) + "[/]"

"""How answers look in a terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Answer = dict[str, Any]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def recommendations(answer: Answer) -> None:
    """A user's list with the reasons."""
    user = answer["user"]
    if user is None:
        err.print(
            f"[yellow]User {answer['user_id']} is unknown: this is the list for everybody (segment all).[/]"
        )
    table = _table(f"Films for user {answer['user_id']}" if user else "Films for everybody")
    for column in ("", "film", "year", "genres", "why"):
        table.add_column(column, justify="right" if column in ("", "year") else "left")
    for film in answer["recommendations"]:
        table.add_row(str(film["rank"]), *_film(film), Text(film["reason"], style="dim"))
    if user:
        out.print(_about(user))
    out.print(table)
    out.print(f"[dim]release {answer['release_id']}[/]")


def similar(answer: Answer) -> None:
    """A film's neighbours."""
    table = _table(f"Films like {answer['item']['title']}, by {answer['channel']}")
    for column in ("", "film", "year", "genres", "score"):
        table.add_column(column, justify="right" if column in ("", "year", "score") else "left")
    for film in answer["similar"]:
        table.add_row(str(film["rank"]), *_film(film), f"{film['score']:.3g}")
    out.print(table)
    out.print(f"[dim]item_id {answer['item']['item_id']}, release {answer['release_id']}[/]")


def releases(rows: list[Answer]) -> None:
    """All releases, newest first."""
    table = _table("Releases")
    for column in ("", "release", "kind", "as of (UTC)", "created (UTC)", "events", "source", "file"):
        table.add_column(column, justify="right" if column == "events" else "left")
    for row in rows:
        table.add_row(
            "[green]●[/]" if row["current"] else "",
            row["release_id"],
            row["kind"],
            row["as_of"].replace("T", " "),
            row["created_at"].replace("T", " "),
            f"{row['n_events']:,}",
            row["source"],
            "kept" if row["kept"] else "[dim]removed[/]",
        )
    out.print(table)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _film(film: Answer) -> tuple[Text, str, Text]:
    year = str(film["year"] or "")
    title = film["title"].removesuffix(f" ({year})")
    return Text(title, style="bold"), year, Text(", ".join(film["genres"]), style="cyan")


def _about(user: Answer) -> str:
    who = {"F": "woman", "M": "man"}.get(user["gender"], "")
    age = f"age group {user['age']}" if user["age"] is not None else ""
    rated = f"{user['n_ratings']:,} ratings"
    mean = f"mean {user['rating_mean']:.2f}" if user["rating_mean"] is not None else ""
    likes = f"likes {', '.join(user['top_genres'])}" if user["top_genres"] else ""
    return "[dim]" + " · ".join(part for part in (who, age, rated, mean, likes) if part) + "[/]"

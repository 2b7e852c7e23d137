"""Screens of what is published: lists, similar films, releases."""

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows.command.screens.terminal import err, out, plain_table
from tasks.commands.answer import Answer

WIDE = 110
"""Columns of a terminal that is wide enough for genres."""

GENDERS = {"F": "woman", "M": "man"}


def recommendations(answer: Answer) -> None:
    """A user's list with the reasons."""
    user, user_id = answer["user"], answer["user_id"]
    if user is None:
        err.print(f"[yellow]User {user_id} is unknown: this is the list for everybody (segment all).[/]")
        out.print("Films for everybody", style="bold")
    else:
        out.print(_about(user), style="dim", markup=False)
        out.print(f"Films for user {user_id}", style="bold")
    _list_with_reasons(answer)


def by_likes(answer: Answer) -> None:
    """The list of somebody who named some films."""
    for verb in ("likes", "dislikes"):
        if answer[verb]:
            titles = ", ".join(film["title"] for film in answer[verb])
            out.print(f"{verb} {titles}", style="dim", markup=False)
    out.print(f"Films by their likeness in {', '.join(answer['channels'])}", style="bold", markup=False)
    _list_with_reasons(answer)


def questions(answer: Answer) -> None:
    """The films to ask about, and how to go on."""
    out.print("Which of these films do you like, which not?", style="bold")
    table = _film_table()
    table.add_column("item_id", justify="right")
    for film in answer["questions"]:
        table.add_row(*_film(film), str(film["item_id"]))
    out.print(table)
    out.print("matinee recommend --likes ID,ID --dislikes ID,ID", style="dim")


def similar(answer: Answer) -> None:
    """A film's neighbours."""
    if not answer["similar"]:
        return out.print(f"{answer['channel']} has no film like {answer['item']['title']}.", markup=False)
    out.print(f"Films like {answer['item']['title']}, by {answer['channel']}", style="bold", markup=False)
    table = _film_table()
    table.add_column("score", justify="right")
    for film in answer["similar"]:
        table.add_row(*_film(film), f"{film['score']:.3g}")
    out.print(table)
    out.print(f"item_id {answer['item']['item_id']}, release {answer['release_id']}", style="dim")


def releases(rows: list[Answer]) -> None:
    """All releases, newest first."""
    table = plain_table()
    for column in ("", "release", "kind", "as of (UTC)"):
        table.add_column(column, no_wrap=True)
    table.add_column("events", justify="right", no_wrap=True)
    sources = {row["source"] for row in rows}
    if len(sources) > 1:
        table.add_column("source")
    for row in rows:
        about = (_status(row), row["release_id"], row["kind"], row["as_of"][:16].replace("T", " "))
        source = (escape(row["source"]),) if len(sources) > 1 else ()
        table.add_row(*about, f"{row['n_events']:,}", *source)
    out.print(table)
    if len(sources) == 1:
        out.print(f"source  {sources.pop()}", style="dim", markup=False)
    for row in rows:
        for message in row.get("failed", ()):
            out.print(f"{row['release_id']}  {message}", style="yellow", soft_wrap=True, markup=False)


def _status(row: Answer) -> str:
    if row["held"]:
        return "[yellow]held[/]"
    return "[green]current[/]" if row["current"] else "kept" if row["kept"] else "[dim]removed[/]"


def _list_with_reasons(answer: Answer) -> None:
    table = _film_table()
    table.add_column("why", style="dim", ratio=3)
    for film in answer["recommendations"]:
        table.add_row(*_film(film), Text(film["reason"]))
    out.print(table)
    out.print(f"release {answer['release_id']}", style="dim")


def _film_table() -> Table:
    """Columns for rank, film, year and, on a wide terminal, genres."""
    table = plain_table()
    table.add_column("", justify="right")
    table.add_column("film", style="bold", ratio=3)
    table.add_column("year", justify="right")
    if out.width >= WIDE:
        table.add_column("genres", style="cyan")
    return table


def _film(film: Answer) -> list[Text]:
    """The cells of a film in these columns."""
    year = str(film["year"] or "")
    cells = [str(film["rank"]), film["title"].removesuffix(f" ({year})"), year]
    if out.width >= WIDE:
        cells.append(", ".join(film["genres"]))
    return [Text(cell) for cell in cells]


def _about(user: Answer) -> str:
    """The user's attributes, ratings and favourite genres in a line."""
    parts = [
        GENDERS.get(user["gender"], ""),
        "" if user["age"] is None else f"age group {user['age']}",
        f"{user['n_ratings']:,} ratings",
        "" if user["rating_mean"] is None else f"mean {user['rating_mean']:.2f}",
        f"likes {', '.join(user['top_genres'])}" if user["top_genres"] else "",
    ]
    return " · ".join(part for part in parts if part)

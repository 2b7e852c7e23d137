"""The difference between two releases, in a terminal of 100 columns."""

from rich.text import Text

from flows.command.screens.terminal import numeric_table, out, plain_table
from tasks.commands.answer import Answer
from tasks.commands.metadata import heading, model_label

SHOWN = 5
"""Rows of films, users and settings on the screen; --json has more."""


def show(answer: Answer) -> None:
    """Lists by segment, films, users, metrics and settings."""
    release, against = (answer[name]["release_id"] for name in ("release", "against"))
    out.print(f"Release {release} against {against}", style="bold")
    _segments(answer)
    for name in ("risen", "fallen"):
        _films(name, answer[name][:SHOWN])
    _moved(answer["moved"][:SHOWN])
    _metrics(answer["metrics"])
    _settings(answer["settings"])


def _segments(answer: Answer) -> None:
    users = answer["users"]
    label = f"first pages of {users['both']:,} users"
    table = numeric_table(label, "users", "overlap@10", "rank-biased overlap", "the same")
    for row in answer["segments"]:
        means = (f"{row[name]:.1%}" for name in ("overlap", "rank_biased_overlap", "same"))
        table.add_row(row["segment"], f"{row['users']:,}", *means)
    out.print(table)
    for name, where in (("release", "now"), ("against", "before")):
        if alone := users[name] - users["both"]:
            out.print(f"{alone:,} users have a list {where} alone", style="dim")


def _films(name: str, rows: list[Answer]) -> None:
    if not rows:
        return
    table = numeric_table(f"films {name} most", "first pages", "before", ratio=1)
    for row in rows:
        table.add_row(Text(row["title"]), f"{row['pages']:.1%}", f"{row['pages_before']:.1%}")
    out.print(table)


def _moved(rows: list[Answer]) -> None:
    if not rows:
        return
    table = numeric_table("users moved most", "ratings", "new ones", "overlap@10", "rank-biased overlap")
    for row in rows:
        table.add_row(
            str(row["user_id"]),
            f"{row['n_ratings']:,}",
            f"{row['new_ratings']:+,}",
            f"{row['overlap']:.0%}",
            f"{row['rank_biased_overlap']:.1%}",
        )
    out.print(table)


def _metrics(rows: list[Answer]) -> None:
    """Metrics of means over users, which have intervals; --json has the others too."""
    rows = [row for row in rows if row["ci_low"] is not None]
    if not rows:
        return
    table = numeric_table("model", "metric", "now", "before", "change")
    for row in rows:
        half = (row["ci_high"] - row["ci_low"]) / 2
        table.add_row(
            Text(model_label(row)),
            heading((row["metric"], row["k"])),
            f"{row['value']:.4f}",
            f"{row['before']:.4f}",
            f"{row['change']:+.4f} ±{half:.4f}",
        )
    out.print(table)
    out.print(
        "± what chance alone may explain, at most (95 %; other users, the largest variance)", style="dim"
    )


def _settings(rows: list[Answer]) -> None:
    if not rows:
        out.print("All settings are as they were.")
        return
    table = plain_table()
    for column in ("setting", "now", "before"):
        table.add_column(column, overflow="fold")
    for row in rows[:SHOWN]:
        table.add_row(*(Text(str(row[name])) for name in ("setting", "value", "before")))
    out.print(table)
    if len(rows) > SHOWN:
        out.print(f"and {len(rows) - SHOWN} more settings: --json lists them", style="dim")

"""Options that several commands share, and what is read out of lists with commas."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.errors import MatineeError

WHAT, HOW = "What", "How"
"""Panels of the help: what is computed, and how."""

Source = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="A folder or zip in a MovieLens layout, a ratings file, [bold]ml-1m[/] (downloaded once) or "
        "[bold]synthetic[/], made-up ratings, which [bold]:SCALE[/], [bold]:SCALE:FILMS[/] and "
        "[bold],watch[/] may follow. Default: MATINEE_SOURCE, else the log as it is; ml-1m if that is empty.",
        rich_help_panel=WHAT,
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only events before this time count (ISO 8601, UTC unless it says otherwise). "
        "Default: all logged events.",
        rich_help_panel=WHAT,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting for this call, e.g. [bold]rank.ranker=din[/]; may be repeated. "
        "All settings: [bold]matinee config[/].",
        rich_help_panel=HOW,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Seed of everything drawn at random: short for [bold]--set seed=N[/].",
        rich_help_panel=HOW,
    ),
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON for programs.")]
Release = Annotated[
    str | None,
    typer.Argument(metavar="RELEASE", help="Which release, kept or held. Default: the published one."),
]
First = Annotated[
    int,
    typer.Option("-n", min=1, metavar="N", help="How many films; a list has no more than were published."),
]

Protocol = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What is asked: [bold]next-visit[/], [bold]rolling[/], [bold]leave-one-out[/], "
        "[bold]successive[/], [bold]temporal-2003[/] or [bold]months-ahead[/]; of leave-one-out also "
        "[bold]leave-one-out-timed[/], [bold]leave-one-out-shuffled[/], [bold]leave-last-page-out[/] and "
        "[bold]last-two[/]; for rankers alone [bold]ctr-random[/] or [bold]ctr-last[/]; for predicted "
        "ratings [bold]rating[/] or [bold]rating-time[/].",
        rich_help_panel=WHAT,
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        metavar="A,B", help="Recall channels. Default: those of the configuration.", rich_help_panel=WHAT
    ),
]
Rankers = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Rankers. Default: that of the configuration; on single ratings all of them.",
        rich_help_panel=WHAT,
    ),
]
Lengths = Annotated[
    str,
    typer.Option("--k", metavar="K,K", help="List lengths to measure at.", rich_help_panel=HOW),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="STARS",
        help="On single ratings: the least rating of a film that was liked; all below it is not. Default: "
        "above 3, and 3 is left out; for the AUC of predicted ratings 4.",
        rich_help_panel=HOW,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|MODEL",
        help="A model of this evaluation, or what --out wrote: shows how all others differ from it, paired "
        "user by user.",
        rich_help_panel=HOW,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write all metrics as JSON.", rich_help_panel=HOW),
]


def names(what: str, text: str | None) -> list[str] | None:
    """The distinct names between commas; None if the option was not given.

    Raises:
        MatineeError: the option was given and names nothing.
    """
    if text is None:
        return None
    found = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise MatineeError(f"--{what}s names no {what}")
    return found


def lengths(text: str) -> list[int]:
    """The distinct list lengths between commas, ascending.

    Raises:
        MatineeError: one of them is no whole number from 1.
    """
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise MatineeError(f"'{text}' are no list lengths: write whole numbers from 1 like 10,50,300")
    return found


def overrides(settings: list[str] | None, **shorthands: Any) -> dict[str, Any]:
    """The settings that this call changes: those of ``--set``, and of the options that stand for one.

    Raises:
        MatineeError: an item of ``--set`` is not KEY=VALUE.
    """
    from tasks.config import parse_set

    given = {key: value for key, value in shorthands.items() if value is not None}
    return parse_set(settings or []) | given

"""``matinee evaluate``: its options, and what is done with them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.commands.lookup import MatineeError

WHAT, HOW = "What", "How"

Protocol = Annotated[
    str,
    typer.Option(
        help="[bold]leave-one-out[/], [bold]temporal-2003[/], [bold]successive[/] or [bold]rolling[/]; for "
        "rankers alone [bold]ctr-random[/] or [bold]ctr-last[/].",
        rich_help_panel=WHAT,
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        help="Recall channels, with commas between. Default: those of nightly.", rich_help_panel=WHAT
    ),
]
Rankers = Annotated[
    str | None,
    typer.Option(
        help="Ranking models, with commas between. Default: gbdt; on ctr-random and ctr-last all of them.",
        rich_help_panel=WHAT,
    ),
]
Ks = Annotated[str, typer.Option("--k", help="List lengths that are measured.", rich_help_panel=HOW)]
Seed = Annotated[int, typer.Option(min=0, help="Of every model that draws at random.", rich_help_panel=HOW)]
Baseline = Annotated[
    str | None,
    typer.Option(
        help="A model of this evaluation, or what --out wrote: shows how all others differ from it, paired "
        "user by user.",
        rich_help_panel=HOW,
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="Write all figures as JSON, with FILE.npz beside it.", rich_help_panel=HOW)
]


def answer(
    protocol: str,
    source: str | None,
    channels: str | None,
    rankers: str | None,
    k: str,
    seed: int,
    baseline: str | None,
    out: Path | None,
) -> dict[str, Any]:
    """The evaluation of the options as they were typed."""
    from tasks.commands.evaluate import evaluate

    recall, rank = _names("channel", channels), _names("ranker", rankers)
    return evaluate(protocol, source, recall, rank, _lengths(k), seed, baseline, out)


def _names(what: str, text: str | None) -> list[str] | None:
    """The distinct names between commas; None if the option was not given."""
    if text is None:
        return None
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise MatineeError(f"--{what}s names no {what}")
    return names


def _lengths(text: str) -> list[int]:
    try:
        lengths = sorted({int(part) for part in text.split(",")})
    except ValueError:
        lengths = [0]
    if lengths[0] < 1:
        raise MatineeError(f"'{text}' are no list lengths: write whole numbers from 1 like 10,50,300")
    return lengths

"""Commands that ask the published release and the logs: recommend, similar, why, experiment, explore."""

from typing import Annotated

import typer

from flows.command import options
from flows.command.printing import print_json
from tasks.errors import MatineeError


def recommend(
    user_id: Annotated[
        str | None, typer.Argument(metavar="USER_ID", help="A user id of the source; not with --likes.")
    ] = None,
    likes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILM,FILM",
            help="Films that somebody likes who is not in the data, by ids or titles; may be repeated.",
        ),
    ] = None,
    dislikes: Annotated[
        list[str] | None,
        typer.Option(metavar="FILM,FILM", help="Films that this person dislikes; may be repeated."),
    ] = None,
    ask: Annotated[
        bool,
        typer.Option(
            "--ask", metavar="", help="Show the films to ask somebody about whose taste nobody knows."
        ),
    ] = False,
    n: options.First = 10,
    as_json: options.Json = False,
) -> None:
    """Show a user's films and why they were chosen, or those for anybody who names some liked films."""
    from tasks.commands import lookup

    named = bool(likes or dislikes)
    if (user_id is not None) + named + ask != 1:
        raise MatineeError("give one of USER_ID, --likes and --ask (see `matinee recommend --help`)")
    if ask:
        answer = lookup.questions(n)
    elif user_id is None:
        answer = lookup.recommend_by_likes(likes or [], dislikes or [], n)
    else:
        answer = lookup.recommend(user_id, n)
    if as_json:
        return print_json(answer)
    from flows.command.screens import published

    show = published.questions if ask else published.by_likes if named else published.recommendations
    show(answer)


def similar(
    film: Annotated[
        str, typer.Argument(metavar="FILM", help="An item id of the source, or words of the title.")
    ],
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose similarities. Default: [bold]ease[/], whose neighbours share most with a film.",
        ),
    ] = None,
    n: options.First = 10,
    as_json: options.Json = False,
) -> None:
    """Show the films most like a film."""
    from tasks.commands import lookup

    answer = lookup.similar(film, channel, n)
    if as_json:
        return print_json(answer)
    from flows.command.screens import published

    published.similar(answer)


def why(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="A user id of the source.")],
    film: Annotated[
        str, typer.Argument(metavar="ITEM_ID", help="An item id of the source, or words of the title.")
    ],
    as_json: options.Json = False,
) -> None:
    """Show why a film is in a user's list, or the stage at which it was lost."""
    from tasks.commands import why as command

    answer = command.why(user_id, film)
    if as_json:
        return print_json(answer)
    from flows.command.screens import why as screen

    screen.show(answer)


def experiment(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment that releases had.")],
    release: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE",
            help="Release whose lists the off-policy estimates are of. Default: the published one.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show what the users of each treatment arm watched of what they were shown."""
    from tasks.commands import experiment as command

    answer = command.experiment(name, release)
    if as_json:
        return print_json(answer)
    from flows.command.screens import experiment as screen

    screen.show(answer)


def explore(
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65_535, help="Port of the page.")] = 2718,
) -> None:
    """Look at the published tables in a browser: lists, films near a film, quality. Ctrl-C stops it."""
    from tasks.commands import explore as command

    raise typer.Exit(command.explore(port))

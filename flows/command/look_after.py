"""Commands that look after what is there: releases, publish, report, rollback, doctor, export, config."""

from pathlib import Path
from typing import Annotated

import typer

from flows.command import options
from flows.command.printing import print_json


def releases(as_json: options.Json = False) -> None:
    """List what was published, and what the gate holds, newest first."""
    from tasks.commands import lookup

    rows = lookup.releases()
    if as_json:
        return print_json(rows)
    from flows.command.screens import published

    published.releases(rows)


def publish(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Which of the held releases.")],
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Yes, though checks fail that hold it.")
    ] = False,
    why: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The reason, which goes into the journal.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Publish a release that the gate holds, all the same."""
    from tasks.commands import lookup

    published = lookup.publish(release, force, why)
    if as_json:
        return print_json({"release_id": published})
    from flows.command.screens.terminal import out

    out.print(f"Release {published} is published.")


def report(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page to write. Default: report.html in MATINEE_HOME."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write a page with plots about what is published: lists, channels, training, ranking, steps."""
    from tasks.commands import lookup

    answer = lookup.report()
    if as_json:
        return print_json(answer)
    from flows.command.pages.report import html
    from flows.command.screens.terminal import out as screen
    from tasks import settings

    file = out or settings.home() / "report.html"
    file.write_text(html(answer), encoding="utf-8")
    screen.print(f"Report on release {answer['release']['release_id']}: {file}", soft_wrap=True, markup=False)


def rollback(
    release: Annotated[
        str | None,
        typer.Argument(metavar="RELEASE", help="Which release. Default: the one before the current one."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make an earlier release the published one again."""
    from tasks.commands import lookup

    current = lookup.rollback(release)
    if as_json:
        return print_json({"release_id": current})
    from flows.command.screens.terminal import out

    out.print(f"Release {current} is published again.")


def doctor(
    repair: Annotated[
        bool,
        typer.Option("--repair", metavar="", help="Repair what can be without a loss; nothing is deleted."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Examine all files of the home: what is there, whole, damaged, left over. Exit code 1 if anything is."""
    from tasks.commands import doctor as command

    answer = command.doctor(repair)
    if as_json:
        print_json(answer)
    else:
        from flows.command.screens import doctor as screen

        screen.show(answer)
    if not answer["whole"]:
        raise typer.Exit(1)


def export(
    to: Annotated[
        str,
        typer.Option(
            metavar="DIR|URL", help="A folder for Parquet files, or postgresql://USER@HOST/DATABASE."
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Copy the published tables: a Parquet file each, or the schema matinee of a PostgreSQL database."""
    from tasks.commands import export as command

    answer = command.export(to)
    if as_json:
        return print_json(answer)
    from flows.command.screens.terminal import out

    rows = sum(answer["tables"].values())
    where = f"{len(answer['tables'])} tables, {rows:,} rows"
    out.print(f"Release {answer['release_id']} is copied: {where}", markup=False)


def config(
    settings: options.Set = None,
    changed: Annotated[
        bool, typer.Option("--changed", metavar="", help="Only what is not at its default.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", metavar="", help="Print a commented matinee.toml to begin with.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show every setting, its value and where that comes from; refuse what makes no sense."""
    from tasks.commands import config as command

    if example:
        return print(command.example())
    rows = command.effective(options.overrides(settings))
    if changed:
        rows = [row for row in rows if row["origin"] != "default"]
    if as_json:
        return print_json(rows)
    from flows.command.screens import config as screen

    screen.show(rows)

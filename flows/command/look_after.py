"""Commands that look after what is there: what is published, configured and deployed, and the home."""

from pathlib import Path
from typing import Annotated

import typer

from flows.command import options
from flows.command.printing import print_json
from tasks.errors import MatineeError


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
    release: options.Release = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE", help="Which release to compare it with. Default: the one it went on from."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page to write. Default: report.html in MATINEE_HOME."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write a page about a release: verdict, quality, data, channels, lists, what changed, time."""
    from tasks.commands import report as command

    answer = command.report(release, against)
    if as_json:
        return print_json(answer)
    from flows.command.pages.report import write
    from flows.command.screens.terminal import out as screen
    from tasks import settings

    file = out or settings.home() / "report.html"
    write(answer, file)
    screen.print(f"Report on release {answer['release']['release_id']}: {file}", soft_wrap=True, markup=False)


def diff(
    release: options.Release = None,
    against: Annotated[
        str | None,
        typer.Argument(
            metavar="RELEASE", help="Which release to compare it with. Default: the one it went on from."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show what changed between two releases: lists, films, users, metrics, settings."""
    from tasks.commands import diff as command

    answer = command.diff(release, against)
    if as_json:
        return print_json(answer)
    from flows.command.screens import diff as screen

    screen.show(answer)


def status(as_json: options.Json = False) -> None:
    """Tell whether all is well: the published release and its age, the last ones, what waits for somebody.

    Exits with 1 if the release is older than MATINEE_MAX_AGE_HOURS.
    """
    from tasks.commands import status as command

    answer = command.status()
    if as_json:
        print_json(answer)
    else:
        from flows.command.screens import status as screen

        screen.show(answer)
    raise typer.Exit(1 if answer["stale"] else 0)


def deploy() -> None:
    """Register work pool, deployments and alarms on the Prefect server of PREFECT_API_URL; safe to repeat."""
    from flows.command import deploy as command
    from flows.command.screens.terminal import out

    file, names = command.deploy()
    out.print(f"Alarms: {', '.join(names)}", soft_wrap=True)
    out.print(f"All that Prefect said: {file}", style="dim", soft_wrap=True)


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
    """Examine all files of the home: what is whole, damaged, left over. Exits with 1 unless all is well."""
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
    section: Annotated[
        str | None,
        typer.Argument(
            metavar="SECTION", help="Only settings whose names begin so: rank, rank.sampling, ..."
        ),
    ] = None,
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
    from tasks.config import within

    if example:
        return print(command.example())
    rows = command.effective(options.overrides(settings))
    if section:
        rows = [row for row in rows if within(row["key"], section.rstrip("."))]
        if not rows:
            raise MatineeError(f"no setting begins with {section}: `matinee config` lists all")
    if changed:
        rows = [row for row in rows if row["origin"] != "default"]
    if as_json:
        return print_json(rows)
    from flows.command.screens import config as screen

    screen.show(rows)

"""The ``matinee`` command. Heavy imports wait until a command needs them, so that --help answers at once."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from flows.command import evaluate_command, evaluate_screen, replay_screen, screen
from tasks.commands.lookup import MatineeError

app = typer.Typer(
    name="matinee",
    help="Film recommendations from a log of ratings: compute them every night, query them at any moment.",
    epilog="Data lives in MATINEE_HOME (default ./data); tables are in MATINEE_HOME/serving/current.duckdb.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Source = Annotated[
    str | None,
    typer.Option(
        help="A folder or zip in a MovieLens layout, a ratings file, [bold]ml-1m[/] (downloaded once) or "
        "[bold]synthetic\\[:scale][/]. Default: MATINEE_SOURCE, else the log as it is.",
        rich_help_panel="What",
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        help="Only events before this time count (ISO 8601, UTC unless it says otherwise). "
        "Default: all logged events.",
        rich_help_panel="What",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command(rich_help_panel="Compute")
def nightly(
    source: Source = None,
    as_of: AsOf = None,
    mode: Annotated[
        Literal["cold", "warm"] | None,
        typer.Option(
            help="Train the model from scratch, or on from the newest full release. Default: warm if there "
            "is one.",
            rich_help_panel="What",
        ),
    ] = None,
    top_n: Annotated[int, typer.Option(min=1, help="Films published a user.", rich_help_panel="What")] = 50,
    objective: Annotated[
        Literal["daily", "next"],
        typer.Option(
            help="What is asked, and blend and ranker are fitted for: the next days, or each user's very "
            "next film, as if asked right after the newest.",
            rich_help_panel="What",
        ),
    ] = "daily",
    or_synthetic: Annotated[
        bool,
        typer.Option(
            "--or-synthetic",
            help="If the log is empty and ml-1m cannot be downloaded, use made-up ratings.",
            rich_help_panel="What",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the full flow and publish a new release."""
    _prepare_prefect()
    from tasks.steps.ingest import check_source
    from tasks.steps.start import parse_as_of

    # A mistake is told before a server starts.
    if as_of is not None:
        parse_as_of(as_of)
    check_source(source)
    from flows.nightly import nightly as flow

    _tell_server()
    done = flow(
        source=source,
        as_of=as_of,
        mode=mode,
        top_n=top_n,
        objective=objective,
        or_synthetic=or_synthetic,
    )
    _print_json(done) if as_json else _show_published(done)


@app.command(rich_help_panel="Compute")
def hourly(as_of: AsOf = None, as_json: Json = False) -> None:
    """Learn what is new in the log, and refresh the lists of whoever rated something."""
    _prepare_prefect()
    from tasks.steps.start import check_published, parse_as_of

    if as_of is not None:
        parse_as_of(as_of)
    check_published()
    from flows.hourly import hourly as flow

    _tell_server()
    done = flow(as_of=as_of)
    if as_json:
        _print_json(done)
    elif done["release_id"] is None:
        screen.out.print("Nothing new: what is published stays.")
    else:
        _show_published(done)


@app.command(rich_help_panel="Compute")
def ingest(
    source: Annotated[
        str, typer.Argument(help="A folder, zip or ratings file in a MovieLens layout, or a name.")
    ],
    as_json: Json = False,
) -> None:
    """Append a source, or a batch of new ratings, to the log."""
    screen.log_to_terminal()
    from dataclasses import asdict

    from tasks import settings
    from tasks.steps.ingest import ingest as task

    report, _ = task.fn(settings.home(), source)
    if as_json:
        _print_json(asdict(report))


@app.command(rich_help_panel="Compute")
def evaluate(
    protocol: evaluate_command.Protocol,
    source: Source = None,
    channels: evaluate_command.Channels = None,
    rankers: evaluate_command.Rankers = None,
    k: evaluate_command.Ks = "10,50,300",
    seed: evaluate_command.Seed = 0,
    baseline: evaluate_command.Baseline = None,
    out: evaluate_command.Out = None,
    as_json: Json = False,
) -> None:
    """Measure every channel, the merged and the published list offline, on ratings held back."""
    screen.log_to_terminal()
    answer = evaluate_command.answer(protocol, source, channels, rankers, k, seed, baseline, out)
    _print_json(answer) if as_json else evaluate_screen.show(answer)


@app.command(rich_help_panel="Compute")
def replay(
    begin: Annotated[
        str, typer.Option("--from", help="The first day, UTC: 2000-11-20.", rich_help_panel="What")
    ],
    end: Annotated[str, typer.Option("--to", help="The last day, UTC, included.", rich_help_panel="What")],
    source: Source = None,
    seed: evaluate_command.Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write all figures as JSON.", rich_help_panel="How")
    ] = None,
    as_json: Json = False,
) -> None:
    """Live through past days hour by hour, under six ways of keeping the model up to date."""
    screen.log_to_terminal()
    from tasks.commands.replay import replay as task

    answer = task(begin, end, source, seed, out)
    _print_json(answer) if as_json else replay_screen.show(answer)


@app.command(rich_help_panel="Ask")
def recommend(
    user_id: Annotated[str, typer.Argument(help="Who: a user id of the source.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many films.")] = 10,
    as_json: Json = False,
) -> None:
    """Show a user's films and why they were chosen."""
    from tasks.commands import lookup

    answer = lookup.recommend(_id(user_id, "user"), n)
    _print_json(answer) if as_json else screen.recommendations(answer)


@app.command(rich_help_panel="Ask")
def similar(
    item_id: Annotated[str, typer.Argument(help="Which film: an item id of the source.")],
    channel: Annotated[str, typer.Option(help="Whose similarities.")] = "swing",
    n: Annotated[int, typer.Option("-n", min=1, help="How many films.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the films most like a film."""
    from tasks.commands import lookup

    answer = lookup.similar(_id(item_id, "film"), channel, n)
    _print_json(answer) if as_json else screen.similar(answer)


@app.command(rich_help_panel="Look after")
def releases(as_json: Json = False) -> None:
    """List what was published, newest first."""
    from tasks.commands import lookup

    rows = lookup.releases()
    _print_json(rows) if as_json else screen.releases(rows)


@app.command(rich_help_panel="Look after")
def report(
    out: Annotated[
        Path | None, typer.Option(help="The page to write. Default: report.html in MATINEE_HOME.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a page with plots about what is published: lists, channels, training, ranking, steps."""
    from tasks import settings
    from tasks.commands import lookup

    answer = lookup.report()
    if as_json:
        return _print_json(answer)
    from flows.command import report_page

    file = out or settings.home() / "report.html"
    file.write_text(report_page.html(answer))
    screen.out.print(f"Report on release {answer['release']['release_id']}: {file}", soft_wrap=True)


@app.command(rich_help_panel="Look after")
def rollback(
    release: Annotated[
        str | None, typer.Argument(help="Which release. Default: the one before the current one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an earlier release the published one again."""
    from tasks.commands import lookup

    now = lookup.rollback(release)
    _print_json({"release_id": now}) if as_json else screen.out.print(f"Release {now} is published again.")


def _tell_server() -> None:
    if "PREFECT_API_URL" not in os.environ:
        logging.getLogger("matinee").info(
            "starting a temporary Prefect server (PREFECT_API_URL names another)"
        )


def _show_published(done: dict[str, Any]) -> None:
    from tasks import settings

    where = settings.home() / "serving" / "current.duckdb"
    seed = f", seed {done['seed']}"
    screen.out.print(f"\n[green]Published release {done['release_id']}[/] as of {done['as_of']} UTC{seed}")
    screen.out.print("Query it:", style="bold")
    screen.out.print(f"  {sys.argv[0]} recommend 42", soft_wrap=True)
    query = "select rank, title, reason from recommendations where user_id = 42 order by rank limit 10"
    screen.out.print(f'  duckdb -readonly {where} "{query}"', soft_wrap=True)


def main() -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except MatineeError as error:
        _fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        _fail("stopped; what is published is unchanged", 130)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context else ""
        message = getattr(error, "format_message", error.__str__)()
        _fail(f"{message.rstrip('.')}{hint}")
    except OSError as error:
        _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> None:
    screen.err.print(f"[bold red]matinee:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)


def _id(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise MatineeError(f"'{text}' is no {what} id: ids are whole numbers") from None


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))


def _prepare_prefect() -> None:
    """Our own lines in the terminal, all of Prefect's in its UI; no calls home."""
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    screen.log_to_terminal()

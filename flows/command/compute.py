"""Commands that compute, or take something in to compute with. Heavy imports wait for a call."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.command import options
from flows.command.printing import print_json


def nightly(
    source: options.Source = None,
    as_of: options.AsOf = None,
    mode: Annotated[
        Literal["cold", "warm"] | None,
        typer.Option(
            help="Train from scratch, or on from the newest full release. Default: warm if there is one.",
            rich_help_panel=options.WHAT,
        ),
    ] = None,
    top_n: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Films published a user: short for [bold]--set top_n=N[/]. Default: 50.",
            rich_help_panel=options.WHAT,
        ),
    ] = None,
    objective: Annotated[
        Literal["daily", "visit", "next"] | None,
        typer.Option(
            help="What blend and ranker are fitted for: the next days, the first films of whoever comes "
            "back, or each user's very next film, as if asked right after the newest; short for "
            "[bold]--set objective=next[/]. Default: daily.",
            rich_help_panel=options.WHAT,
        ),
    ] = None,
    or_synthetic: Annotated[
        bool,
        typer.Option(
            "--or-synthetic",
            metavar="",
            help="If the log is empty and ml-1m cannot be downloaded, use made-up ratings.",
            rich_help_panel=options.WHAT,
        ),
    ] = False,
    settings: options.Set = None,
    as_json: options.Json = False,
) -> None:
    """Run the full flow and publish a new release."""
    _prepare_prefect()
    from tasks import config, declarations
    from tasks.steps.ingest import check_source
    from tasks.steps.start import parse_as_of

    # Mistakes are reported before a server starts.
    overrides = options.overrides(settings, top_n=top_n, objective=objective)
    loaded = config.load(overrides)
    declarations.check(loaded.features, loaded.optional_features)
    if as_of is not None:
        parse_as_of(as_of)
    check_source(source)
    from flows.nightly import nightly as flow

    _say_which_server()
    changes = config.Changes(**overrides)
    published = flow(source=source, as_of=as_of, mode=mode, config=changes, or_synthetic=or_synthetic)
    print_json(published) if as_json else _show_published(published)


def hourly(as_of: options.AsOf = None, settings: options.Set = None, as_json: options.Json = False) -> None:
    """Learn what is new in the log, and refresh the lists of whoever rated something."""
    _prepare_prefect()
    from tasks import config
    from tasks.steps.start import check_published, parse_as_of

    overrides = options.overrides(settings)
    config.for_hourly(config.load(), overrides)
    if as_of is not None:
        parse_as_of(as_of)
    check_published()
    from flows.hourly import hourly as flow

    _say_which_server()
    published = flow(as_of=as_of, config=config.HourlyChanges(**overrides))
    print_json(published) if as_json else _show_published(published)


def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A folder, zip or ratings file in a MovieLens layout, or a name."
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Append a source, or a batch of new ratings, to the log."""
    from flows.command.screens.terminal import log_to_terminal

    log_to_terminal()
    from dataclasses import asdict

    from tasks import settings
    from tasks.steps.ingest import ingest as task

    report, _ = task.fn(settings.home(), source)
    if as_json:
        print_json(asdict(report))


def shown(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV or Parquet: user_id, item_id, shown_at; if known rank, experiment, propensity.",
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Append a report of what users were shown to the log of exposures."""
    _record("shown", file, as_json)


def block(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV or Parquet: user_id, item_id, requested_at; action: block (the default) or allow.",
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Append a report of films that users asked not to see to the log of block lists."""
    _record("block", file, as_json)


def _record(command: str, file: str, as_json: bool) -> None:
    """Append a report to the log of a command."""
    from flows.command.screens.terminal import log_to_terminal

    log_to_terminal()
    from dataclasses import asdict

    from tasks import settings
    from tasks.commands import reports

    report = reports.record(settings.home(), command, file)
    if as_json:
        print_json(asdict(report))


def evaluate(
    protocol: options.Protocol,
    source: options.Source = None,
    channels: options.Channels = None,
    rankers: options.Rankers = None,
    k: options.Lengths = "10,50,300",
    seed: options.Seed = None,
    threshold: options.Threshold = None,
    baseline: options.Baseline = None,
    out: options.Out = None,
    lists: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Also measure lists of somebody else: Parquet or CSV with user_id, rank, item_id, perhaps "
            "window; may be repeated. With a file as --baseline they are measured alone, less its published "
            "list.",
            rich_help_panel=options.WHAT,
        ),
    ] = None,
    settings: options.Set = None,
    as_json: options.Json = False,
) -> None:
    """Measure every channel, the merged and the published list offline, on ratings held back."""
    from flows.command.screens.terminal import log_to_terminal

    recall, rank, ks = (
        options.names("channel", channels),
        options.names("ranker", rankers),
        options.lengths(k),
    )
    overrides = options.overrides(settings)
    log_to_terminal()
    from tasks.commands.evaluate import evaluate as measure

    answer = measure(
        protocol, source, recall, rank, ks, seed, baseline, out, lists or (), overrides, threshold
    )
    if as_json:
        return print_json(answer)
    from flows.command.screens import evaluation

    evaluation.show(answer)


def tune(
    name: Annotated[
        str, typer.Argument(metavar="CHANNEL|RANKER", help="Name of a recall channel or a ranker.")
    ],
    protocol: options.Protocol,
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Settings to try, those of an earlier search for the same included.",
            rich_help_panel=options.HOW,
        ),
    ] = 50,
    source: options.Source = None,
    seed: options.Seed = None,
    settings: options.Set = None,
    as_json: options.Json = False,
) -> None:
    """Search for better settings of a channel or a ranker, on validation data alone."""
    from flows.command.screens.terminal import log_to_terminal

    overrides = options.overrides(settings)
    log_to_terminal()
    from tasks.commands.tune import tune as search

    answer = search(name, protocol, trials, source, seed, config=overrides)
    if as_json:
        return print_json(answer)
    from flows.command.screens import evaluation

    evaluation.tuned(answer)


def replay(
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="DAY",
            help="The first day, UTC, e.g. 2000-11-20.",
            rich_help_panel=options.WHAT,
        ),
    ],
    end: Annotated[
        str,
        typer.Option(
            "--to", metavar="DAY", help="The last day, UTC, included.", rich_help_panel=options.WHAT
        ),
    ],
    source: options.Source = None,
    seed: options.Seed = None,
    out: options.Out = None,
    settings: options.Set = None,
    as_json: options.Json = False,
) -> None:
    """Live through past days hour by hour, under six ways of keeping the model up to date."""
    from flows.command.screens.terminal import log_to_terminal

    overrides = options.overrides(settings)
    log_to_terminal()
    from tasks.commands.replay import replay as live_through

    answer = live_through(begin, end, source, seed, out, config=overrides)
    if as_json:
        return print_json(answer)
    from flows.command.screens import replay as screen

    screen.show(answer)


def _prepare_prefect() -> None:
    """Our own lines in the terminal, all of Prefect's in its UI; no calls home.

    A termination exits in order, which ends Prefect's temporary server too.
    """
    from flows.command.screens.terminal import log_to_terminal

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))

    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")
    log_to_terminal()


def _say_which_server() -> None:
    if "PREFECT_API_URL" not in os.environ:
        logger = logging.getLogger("matinee")
        logger.info("starting a temporary Prefect server (PREFECT_API_URL names another)")


def _show_published(published: Any) -> None:
    """A sentence on what was published, and how to look at it."""
    from flows.command.screens.terminal import out
    from tasks import settings
    from tasks.commands.lookup import first_choice

    if published["release_id"] is None:
        return out.print("Nothing new: what is published stays.")
    about = f"as of {published['as_of']} UTC, seed {published['seed']}"
    out.print(f"\n[green]Published release {published['release_id']}[/] {about}")
    program = Path(sys.argv[0])
    found = first_choice()
    asking = [] if found is None else [f"recommend {found['user_id']}", f"similar {found['item_id']}"]
    for words in (*asking, "report"):
        out.print(f"  {program} {words}", soft_wrap=True, markup=False)
    out.print(f"Tables for any DuckDB client: {settings.where_published()}", soft_wrap=True, markup=False)

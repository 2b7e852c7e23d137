"""The ``matinee`` command: which commands there are, and how mistakes are reported.

Nothing heavy is imported here, so that --help answers at once: each command imports what it needs.
"""

import os
import sys
from typing import Annotated, NoReturn

import typer

from flows.command import ask, compute, look_after
from tasks.errors import Held, MatineeError, explained

PANELS = {
    "Compute": (
        compute.nightly,
        compute.hourly,
        compute.ingest,
        compute.shown,
        compute.block,
        compute.evaluate,
        compute.tune,
        compute.replay,
    ),
    "Ask": (ask.recommend, ask.similar, ask.why, ask.experiment, ask.explore),
    "Look after": (
        look_after.status,
        look_after.releases,
        look_after.publish,
        look_after.report,
        look_after.diff,
        look_after.rollback,
        look_after.doctor,
        look_after.export,
        look_after.config,
        look_after.deploy,
    ),
}
"""The commands by panel of the help."""

EXAMPLES = {
    "nightly": (
        "matinee nightly --source ml-1m",
        "matinee nightly --as-of 2001-06-01 --mode cold",
        "matinee nightly --set rank.ranker=dcn_v2 --set top_n=20",
        "matinee nightly --set 'recall.channels=\\[popular,item_cf,two_tower]'",
    ),
    "hourly": ("matinee hourly", "matinee hourly --json"),
    "ingest": ("matinee ingest new-ratings/", "matinee ingest synthetic:0.1"),
    "shown": ("matinee shown shown.csv", "matinee shown impressions.parquet --json"),
    "block": ("matinee block requests.csv", "matinee block requests.parquet --json"),
    "evaluate": (
        "matinee evaluate --protocol leave-one-out --source ml-1m --out metrics.json",
        "matinee evaluate --protocol temporal-2003 --channels ease,swing --baseline ease",
        "matinee evaluate --protocol ctr-random --rankers lr,fm,dcn_v2",
    ),
    "tune": ("matinee tune ease --protocol rolling --trials 30 --source ml-1m",),
    "replay": ("matinee replay --from 2000-11-20 --to 2000-11-26 --source ml-1m",),
    "recommend": (
        "matinee recommend 42",
        "matinee recommend 42 -n 50 --json",
        "matinee recommend --likes 'Heat (1995), Matrix, The (1999)' --dislikes 1",
        "matinee recommend --ask -n 5",
    ),
    "similar": ("matinee similar 1", "matinee similar 'toy story' --channel item_cf"),
    "why": ("matinee why 42 1", "matinee why 42 'toy story' --json"),
    "publish": ("matinee publish 20261126-140626-775021 --force --why 'a festival: one film is right'",),
    "report": ("matinee report", "matinee report 20261126-140626-775021 --against 20261125-030001-120045"),
    "diff": ("matinee diff", "matinee diff 20261126-140626-775021 20261125-030001-120045 --json"),
    "experiment": ("matinee experiment diverse", "matinee experiment diverse --json"),
    "explore": ("matinee explore", "matinee explore --port 8080"),
    "status": ("matinee status", "matinee status --json"),
    "rollback": ("matinee rollback", "matinee rollback 20261126-140626-775021"),
    "doctor": ("matinee doctor", "matinee doctor --repair", "matinee doctor --json"),
    "export": ("matinee export --to films/", "matinee export --to postgresql://user@host/films"),
    "config": (
        "matinee config rank",
        "matinee config --changed",
        "matinee config --set rank.ranker=din --json",
        "matinee config --example > matinee.toml",
    ),
}
"""Shown below the help of a command."""

app = typer.Typer(
    name="matinee",
    epilog="Data lives in MATINEE_HOME (default ./data); tables are in MATINEE_HOME/serving/current.duckdb."
    "\n\n[bold]A first look[/]"
    "\n[dim]$[/] matinee nightly --source synthetic:0.1\n[dim]$[/] matinee recommend 42",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def overview(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", metavar="", help="Print version, commit and folder of the code.")
    ] = False,
) -> None:
    """Film recommendations from a log of ratings: compute them every night, query them at any moment."""
    if version:
        from tasks.version import ROOT, code_version

        print(f"matinee {code_version()} ({ROOT})")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def _epilog(command: str) -> str | None:
    examples = EXAMPLES.get(command)
    return "\n[dim]$[/] ".join(("[bold]Examples[/]", *examples)) if examples else None


for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel, epilog=_epilog(command.__name__))(command)


FILE_COLUMNS = "100"
"""Width of what goes to files alone, which have none: that of our tables."""

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after a signal, by which a shell tells it."""

STOPPED = "stopped; what is published is unchanged"
"""The line that goes with them."""


def main() -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2, a held release one and 3."""
    if not any(map(os.isatty, (0, 1, 2))):
        os.environ.setdefault("COLUMNS", FILE_COLUMNS)
    try:
        code = app(standalone_mode=False, prog_name="matinee")
    except Held as error:
        _fail(str(error), 3, error)
    except (MatineeError, FloatingPointError) as error:
        # The latter: a training diverged, and says what to set.
        _fail(str(error), error=error)
    except (typer.Abort, KeyboardInterrupt) as error:  # the former at a question
        _fail(STOPPED, INTERRUPTED, error)
    except SystemExit as error:
        if error.code != TERMINATED:
            raise
        _fail(STOPPED, TERMINATED, error)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context else ""
        message = error.format_message().rstrip(".").replace("Value error, ", "")
        _fail(f"{message.replace('Input should be', 'it must be').partition(', unable to parse')[0]}{hint}")
    except Exception as error:
        if (code := _signalled(error)) is not None:
            _fail(STOPPED, code, error)
        if (line := _line(error)) is None:
            raise
        _fail(line, error=error)
    if code == INTERRUPTED:  # Typer has caught it
        _fail(STOPPED, INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _signalled(error: BaseException | None) -> int | None:
    """The exit code of a signal that an error stems from: compiled code makes an error of its own of one."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if type(error).__name__ == "TerminationSignal":  # Prefect's, not imported for this
            return TERMINATED
        error = error.__cause__ or error.__context__
    return None


NO_SERVER = (
    "Prefect's temporary server did not start in time, as on a machine that is busy: give it longer "
    "(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, in seconds), or name another server (PREFECT_API_URL)"
)


def _line(error: Exception) -> str | None:
    """An error from far below in a line; None for a bug, of which the traceback tells most."""
    if "ephemeral Prefect API server" in str(error):  # a bare RuntimeError of Prefect's
        return NO_SERVER
    try:
        line = explained(error)
    except MatineeError as other:
        line = str(other)
    except OSError:  # the home cannot be examined either
        line = None
    if line is None and isinstance(error, OSError):
        line = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
    return line


def _fail(message: str, code: int = 2, error: BaseException | None = None) -> NoReturn:
    from flows.command.screens.terminal import err

    # Prefect keeps the error to the end of the process, and its frames would keep what they name: DuckDB
    # would report all its types as leaked.
    while error is not None:
        error.__traceback__, error = None, error.__cause__ or error.__context__
    err.print("[bold red]matinee:[/]", end=" ")
    err.print(message, soft_wrap=True, markup=False)
    sys.exit(code)

"""An evaluation, in a terminal of 100 columns."""

from rich.table import Table
from rich.text import Text

from flows.command.screens.terminal import out, plain_table
from tasks.commands.answer import Answer
from tasks.commands.metadata import (
    LOWER_IS_BETTER,
    MAIN_METRICS,
    MetricAtK,
    best_of,
    heading,
    in_order,
    model_label,
)

SLICES = {"all": "users", "known": "known users", "unknown": "unknown users"}
"""Slices with a table of their own; known or not is meant at the start of a window."""


def show(answer: Answer) -> None:
    """The main metrics of the protocol, one row a model, and how the models differ from the baseline."""
    for part in SLICES if answer["protocol"] == "rolling" else ("all",):
        if rows := [row for row in answer["rows"] if row["slice"] == part]:
            out.print(_about(answer, rows, part), style="bold")
            out.print(_metrics(answer["protocol"], rows))
    for given in answer["lists"]:
        out.print(_unused(given), style="dim", markup=False)
    split = " ".join(digest[:12] for digest in answer["split"])
    out.print(f"± half of the 95 % interval over users · seed {answer['seed']} · split {split}", style="dim")
    for part in dict.fromkeys(row["slice"] for row in answer["differences"]):
        rows = [row for row in answer["differences"] if row["slice"] == part]
        out.print(f"\nLess {answer['baseline']}{_whom(part)}", style="bold", markup=False)
        out.print(_differences(answer["protocol"], rows))
    if answer["differences"]:
        out.print("▲ better, ▼ worse: 0 is outside the 95 % interval of the paired difference", style="dim")


def tuned(answer: Answer) -> None:
    """The best settings found, as lines of a configuration file."""
    column = heading((answer["metric"], answer["k"]))
    before = "–" if answer["before"] is None else f"{answer['before']:.4f}"
    about = f"{column} on the validation part of {answer['protocol']}, {answer['trials']} trials"
    out.print(f"{answer['name']}: {answer['best']:.4f}, as it is {before}", style="bold", markup=False)
    out.print(about, style="dim", markup=False)
    if not answer["toml"]:
        return out.print("No better settings were found: nothing to keep.")
    out.print("In matinee.toml:\n", style="dim")
    out.print(answer["toml"].rstrip(), markup=False, soft_wrap=True)


def _about(answer: Answer, rows: list[Answer], part: str) -> str:
    who = "users" if part == "all" else f"users {part} at the start of the window"
    return f"{answer['protocol']}: {rows[0]['n_users']:,} {who}, {rows[0]['n_events']:,} events"


def _unused(given: Answer) -> str:
    """How much of a file of lists answers nothing."""
    return (
        f"{given['model']}: of {given['rows']:,} rows {given['unknown_users']:,} of users without a query, "
        f"{given['unknown_items']:,} of unknown films; {given['seen']:,} films left out as seen; "
        f"{given['unanswered']:,} of {given['n_queries']:,} queries without a list"
    )


def _whom(part: str) -> str:
    """The slice of a table of differences; empty for all users."""
    return "" if part == "all" else f", {SLICES.get(part, part.replace('=', ' '))}"


def _metrics(protocol: str, rows: list[Answer]) -> Table:
    """Channels and rankers by the first metric, best first; the lists made of them in between and after."""
    columns = _columns(protocol, rows)
    by_key = {(model_label(row), row["metric"], row["k"]): row for row in rows}
    best = {column: best_of(column, rows) for column in columns}
    table = _model_table([*map(heading, columns), "fit"])
    ordered = in_order(columns[0], rows)
    for row, following in zip(ordered, [*ordered[1:], None], strict=True):
        cells = [_value(by_key.get((model_label(row), *column)), best[column]) for column in columns]
        ends_stage = following is not None and following["stage"] != row["stage"]
        table.add_row(model_label(row), *cells, _seconds(row["fit_seconds"]), end_section=ends_stage)
    return table


def _differences(protocol: str, rows: list[Answer]) -> Table:
    columns = _columns(protocol, rows)
    by_key = {(model_label(row), row["metric"], row["k"]): row for row in rows}
    table = _model_table([heading(column) for column in columns])
    for model in dict.fromkeys(model_label(row) for row in rows):
        table.add_row(model, *(_difference(by_key.get((model, *column))) for column in columns))
    return table


def _columns(protocol: str, rows: list[Answer]) -> list[MetricAtK]:
    """The main metrics at their lengths; at those that were measured if none of these was."""
    measured = {(row["metric"], row["k"]): None for row in rows}
    main = [column for column in MAIN_METRICS[protocol] if column in measured]
    names = [name for name, _ in MAIN_METRICS[protocol]]
    return main or [column for column in measured if column[0] in names]


def _model_table(columns: list[str]) -> Table:
    table = plain_table()
    table.collapse_padding = True
    table.add_column("model", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _value(row: Answer | None, best: float) -> Text:
    if row is None or row["value"] is None:
        return Text("–", style="dim")
    text = Text(_short(row["value"], 4), style="bold" if row["value"] == best else "")
    return text.append(_half_width(row), style="not bold dim")


def _difference(row: Answer | None) -> Text:
    if row is None or row["value"] is None:
        return Text("–", style="dim")
    better, worse = row["ci_low"] > 0, row["ci_high"] < 0
    if row["metric"] in LOWER_IS_BETTER:
        better, worse = worse, better
    # The mark comes first, so that a narrow terminal does not cut it off.
    text = Text(
        ("▲ " if better else "▼ " if worse else "  ")
        + ("-" if row["value"] < 0 else "+")
        + _short(abs(row["value"]), 4),
        style="green" if better else "red" if worse else "",
    )
    return text.append(_half_width(row), style="dim")


def _half_width(row: Answer) -> str:
    return "" if row["ci_low"] is None else f" ±{_short((row['ci_high'] - row['ci_low']) / 2, 3)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def _short(value: float, digits: int) -> str:
    """Without the zero before the point."""
    return f"{value:.{digits}f}".removeprefix("0")

"""How an evaluation looks in a terminal of 100 columns."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from flows.command.screen import out

Answer = dict[str, Any]

Column = tuple[str, int | None]
"""A metric, and the length of the list if it is one of lists."""

MAIN_METRICS: dict[str, list[Column]] = {
    "leave-one-out": [("hr", 10), ("ndcg", 10), ("hr", 50), ("recall", 300)],
    "temporal-2003": [("pooled_recall", 50), ("pooled_recall", 300), ("ndcg", 10)],
    "successive": [("hr", 10), ("ndcg", 10)],
    "rolling": [("recall", 50), ("ndcg", 10), ("coverage", 50)],
    "ctr-random": [("auc", None), ("logloss", None), ("gauc", None)],
    "ctr-last": [("auc", None), ("logloss", None)],
}
"""What is shown of each protocol; --json and --out have all."""

METRIC_NAMES = {
    "hr": "HR",
    "ndcg": "NDCG",
    "pooled_recall": "pooled recall",
    "auc": "AUC",
    "gauc": "GAUC",
    "logloss": "log loss",
}

LOWER_IS_BETTER = ("logloss",)

BEST_FIRST = ("recall", "rank")
"""Stages whose models are sorted by the first metric."""


def show(answer: Answer) -> None:
    """The main metrics of the protocol, one row a model, and how the models differ from the baseline."""
    slices = ("all", "known", "unknown") if answer["protocol"] == "rolling" else ("all",)
    for part in slices:
        if rows := [row for row in answer["rows"] if row["slice"] == part]:
            out.print(_about(answer, rows, part), style="bold")
            out.print(_figures(answer["protocol"], rows))
    split = " ".join(digest[:12] for digest in answer["split"])
    out.print(f"[dim]± half of the 95 % interval over users · seed {answer['seed']} · split {split}[/]")
    for part in dict.fromkeys(row["slice"] for row in answer["differences"]):
        rows = [row for row in answer["differences"] if row["slice"] == part]
        out.print(f"\nLess {answer['baseline']}{_whom(part)}", style="bold", markup=False)
        out.print(_differences(answer["protocol"], rows))
    if answer["differences"]:
        out.print("[dim]▲ better, ▼ worse: 0 is outside the 95 % interval of the paired difference[/]")


def _about(answer: Answer, rows: list[Answer], part: str) -> str:
    who = "users" if part == "all" else f"users {part} at the start of the window"
    return f"{answer['protocol']}: {rows[0]['n_users']:,} {who}, {rows[0]['n_events']:,} events"


def _whom(part: str) -> str:
    """A slice, where others than all are spoken of."""
    users = {"all": "", "known": ", known users", "unknown": ", unknown users"}
    return users.get(part, f", {part.replace('=', ' ')}")


def _figures(protocol: str, rows: list[Answer]) -> Table:
    """Channels and rankers by the first metric, best first; the lists made of them in between and after."""
    columns = _columns(protocol, rows)
    found = {(row["model"], row["metric"], row["k"]): row for row in rows}
    best = {column: best_of(column, rows) for column in columns}
    table = _model_table(columns)
    table.add_column("fit", justify="right", no_wrap=True)
    first = in_order(columns[0], rows)
    stage = first[0]["stage"]
    for row in first:
        if row["stage"] != stage:
            table.add_section()
            stage = row["stage"]
        cells = [_figure(found.get((row["model"], *column)), best[column]) for column in columns]
        table.add_row(row["model"], *cells, _seconds(row["fit_seconds"]))
    return table


def in_order(column: Column, rows: list[Answer]) -> list[Answer]:
    """The rows of one metric: channels and rankers best first, the lists made of them as they come."""
    some = [row for row in rows if (row["metric"], row["k"]) == column]
    stages = list(dict.fromkeys(row["stage"] for row in some))

    def place(row: Answer) -> tuple[int, float]:
        return stages.index(row["stage"]), -(row["value"] or 0) if row["stage"] in BEST_FIRST else 0

    return sorted(some, key=place)


def best_of(column: Column, rows: list[Answer]) -> float:
    """The best value of a column."""
    values = [row["value"] or 0 for row in rows if (row["metric"], row["k"]) == column]
    return min(values) if column[0] in LOWER_IS_BETTER else max(values)


def heading(column: Column) -> str:
    """A metric as people write it, with the length of the list."""
    name, k = column
    return METRIC_NAMES.get(name, name) + ("" if k is None else f"@{k}")


def _differences(protocol: str, rows: list[Answer]) -> Table:
    columns = _columns(protocol, rows)
    found = {(row["model"], row["metric"], row["k"]): row for row in rows}
    table = _model_table(columns)
    for model in dict.fromkeys(row["model"] for row in rows):
        table.add_row(model, *(_difference(found.get((model, *column))) for column in columns))
    return table


def _columns(protocol: str, rows: list[Answer]) -> list[Column]:
    """The main metrics at their lengths; at those that were measured if none of these was."""
    measured = {(row["metric"], row["k"]): None for row in rows}
    main = [column for column in MAIN_METRICS[protocol] if column in measured]
    names = [name for name, _ in MAIN_METRICS[protocol]]
    return main or [column for column in measured if column[0] in names]


def _model_table(columns: list[Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("model", no_wrap=True)
    for column in columns:
        table.add_column(heading(column), justify="right", no_wrap=True)
    return table


def _figure(row: Answer | None, best: float) -> Text:
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
    text = Text(
        ("-" if row["value"] < 0 else "+") + _short(abs(row["value"]), 4),
        style="green" if better else "red" if worse else "",
    )
    return text.append(_half_width(row), style="dim").append(" ▲" if better else " ▼" if worse else "  ")


def _half_width(row: Answer) -> str:
    return "" if row["ci_low"] is None else f" ±{_short((row['ci_high'] - row['ci_low']) / 2, 3)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def _short(value: float, digits: int) -> str:
    """Without the zero before the point."""
    return f"{value:.{digits}f}".removeprefix("0")

"""A replay; in a narrow terminal the names of policies wrap, numbers never."""

from typing import Any

from rich.table import Table

from flows.command.screens.terminal import out, plain_table
from tasks.commands.metadata import heading

SLICES = {
    "all": "everybody",
    "known": "users known before the day",
    "new": "users new on the day",
}


def show(answer: dict[str, Any]) -> None:
    """One table a slice: each policy's metrics, and its paired difference to the control."""
    for part, who in SLICES.items():
        rows = [row for row in answer["rows"] if row["slice"] == part]
        if rows:
            about = f"{answer['from']} to {answer['to']}, {who}"
            out.print(f"{about}: {rows[0]['n_users']:,} users, {rows[0]['n_events']:,} events", style="bold")
            out.print(_table(rows, answer["control"]))
    out.print(
        f"[dim]Δ less {answer['control']}, with its 95 % interval over users; ▲ better, ▼ worse: "
        f"0 is outside · seed {answer['seed']}[/]"
    )


def metric_heading(metric: str) -> str:
    """A metric named like ``ndcg@10`` as people write it."""
    name, _, k = metric.partition("@")
    return heading((name, int(k)))


def _table(rows: list[dict[str, Any]], control: str) -> Table:
    metrics = [metric_heading(metric) for metric in dict.fromkeys(row["metric"] for row in rows)]
    table = plain_table()
    table.add_column("policy", min_width=16)
    for metric in (*metrics, f"Δ {metrics[-1]}"):
        table.add_column(metric, justify="right", no_wrap=True)
    for policy in dict.fromkeys(row["policy"] for row in rows):
        own = [row for row in rows if row["policy"] == policy]
        change = "" if policy == control else _change(own[-1]["difference"])
        table.add_row(policy, *(f"{row['value']:.4f}".lstrip("0") for row in own), change)
    return table


def _change(difference: dict[str, float]) -> str:
    low, high = difference["ci_low"], difference["ci_high"]
    mark = "▲" if low > 0 else "▼" if high < 0 else " "
    return f"{difference['value']:+.4f} [{low:+.4f}, {high:+.4f}] {mark}".replace("0.", ".")

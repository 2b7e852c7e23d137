"""How a replay looks in a terminal; in a narrow one the names of policies wrap, figures never."""

from typing import Any

from rich import box
from rich.table import Table

from flows.command.screen import out

SLICES = {
    "all": "everybody",
    "known": "users known before the day",
    "new": "users new on the day",
}


def show(answer: dict[str, Any]) -> None:
    """One table a slice: each policy's figures, and its paired difference to the control."""
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


def heading(metric: str) -> str:
    """A metric as people write it."""
    return metric.replace("hr", "HR").replace("ndcg", "NDCG")


def _table(rows: list[dict[str, Any]], control: str) -> Table:
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy", min_width=16)
    for metric in metrics:
        table.add_column(heading(metric), justify="right", no_wrap=True)
    table.add_column(f"Δ {metrics[-1]}", justify="right", no_wrap=True)
    for policy in dict.fromkeys(row["policy"] for row in rows):
        own = [row for row in rows if row["policy"] == policy]
        change = "" if policy == control else _change(own[-1]["difference"])
        table.add_row(policy, *(f"{row['value']:.4f}".lstrip("0") for row in own), change)
    return table


def _change(difference: dict[str, float]) -> str:
    low, high = difference["ci_low"], difference["ci_high"]
    mark = "▲" if low > 0 else "▼" if high < 0 else " "
    return f"{difference['value']:+.4f} [{low:+.4f}, {high:+.4f}] {mark}".replace("0.", ".")

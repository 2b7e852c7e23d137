"""The screen of the report on an experiment."""

from rich.text import Text

from flows.command.screens.terminal import err, numeric_table, out
from tasks.commands.answer import Answer

ONE_LOOK = "Differences to the control, by CUPED; 95 % intervals are for one look at a time fixed before."


def show(answer: Answer) -> None:
    """The arms, the off-policy estimates, and sentences on what is missing."""
    where = f"{answer['experiment']} (layer {answer['layer']}) since {answer['started_at']} UTC"
    days = f"watched within {answer['window_days']:g} days after it was shown"
    out.print(f"Experiment {where}: {days}", style="bold", markup=False)
    _arms(answer["arms"])
    if any(row["effective_size"] for row in answer["off_policy"]):
        _off_policy(answer)
    if any(row["adjusted"] for row in answer["arms"]):
        out.print(ONE_LOOK, style="dim")
    for note in answer["notes"]:
        err.print(note[:1].upper() + note[1:], style="yellow", markup=False, soft_wrap=True)


def _arms(rows: list[Answer]) -> None:
    counts = ("users", "exposures", "watched")
    table = numeric_table("arm", "of users", *counts, "%", "difference", "p", "detectable")
    for row in rows:
        table.add_row(
            Text(row["arm"]),
            f"{row['fraction']:.0%}",
            *(str(row[name]) for name in counts),
            _percent(row["watched_fraction"]),
            _percent(row["adjusted"], "+"),
            "" if row["p_value"] is None else f"{row['p_value']:.3f}",
            "" if row["detectable"] is None else f"{row['detectable']:.2%}",
        )
    out.print(table)


def _off_policy(answer: Answer) -> None:
    """Estimates of the lists of a release, by arm."""
    label = f"lists of release {answer['release_id']}"
    table = numeric_table(label, "exposures", "effective", "IPS", "SNIPS", "doubly robust")
    for row in answer["off_policy"]:
        estimates = (_percent(row[name]) for name in ("ips", "snips", "doubly_robust"))
        table.add_row(Text(row["arm"]), str(row["exposures"]), f"{row['effective_size']:.0f}", *estimates)
    out.print(table)


def _percent(estimate: Answer | None, sign: str = "") -> str:
    """The value and half of its interval, in percent."""
    if estimate is None:
        return ""
    if estimate["low"] is None:
        return f"{estimate['value']:{sign}.2%}"
    return f"{estimate['value']:{sign}.2%} ±{(estimate['high'] - estimate['low']) / 2:.2%}"

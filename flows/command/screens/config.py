"""The configuration: every setting with its value and where that comes from."""

import json
from typing import Any

from rich.text import Text

from flows.command.screens.terminal import out, plain_table


def show(rows: list[dict[str, Any]]) -> None:
    """A row a setting with the sentence about it below its name; what somebody changed stands out."""
    if not rows:
        return out.print("Every setting is at its default.")
    table = plain_table()
    table.expand, table.leading = True, 1
    for column, ratio in (("setting", 7), ("value", 5), ("from", 3)):
        table.add_column(column, overflow="fold", ratio=ratio)
    for row in rows:
        style = "" if row["origin"] == "default" else "bold green"
        about = Text(f"\n{row['about']}" if row["about"] else "", style="dim")
        table.add_row(Text(row["key"]) + about, Text(_value(row["value"]), style), Text(row["origin"], style))
    out.print(table)


def _value(value: Any) -> str:
    """The value as it would be written after ``--set KEY=``."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)

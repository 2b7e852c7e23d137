"""The screen of the state of a home."""

from rich.text import Text

from flows.command.screens.terminal import err, out, plain_table
from tasks.commands.answer import Answer


def show(answer: Answer) -> None:
    """The repairs, a row a part, and a line for each thing that is not as it should be."""
    for line in answer["repairs"]:
        err.print(line, style="green" if line.startswith("repaired") else "red", soft_wrap=True, markup=False)
    out.print(answer["home"], style="bold", soft_wrap=True, markup=False)
    table = plain_table()
    for column in ("part", "", "state"):
        table.add_column(column)
    for part in answer["parts"]:
        table.add_row(part["part"], Text(part["summary"]), _state(part))
    out.print(table)
    for part in answer["parts"]:
        for found in part["findings"]:
            line = f"{found['path']}: {found['problem']}: {found['remedy']}"
            out.print(line, style="yellow", soft_wrap=True, markup=False)


def _state(part: Answer) -> Text:
    if not part["findings"]:
        return Text("whole", style="green")
    states = [found["state"] for found in part["findings"]]
    return Text(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)), style="red")

"""The screen of ``matinee status``."""

from flows.command.screens import published
from flows.command.screens.terminal import out
from tasks.commands.answer import Answer


def show(answer: Answer) -> None:
    """A line on the published release, the last releases, then what waits for somebody."""
    age, limit = answer["age_hours"], answer["max_age_hours"]
    verdict = "[red]stale[/]" if answer["stale"] else "[green]fresh[/]"
    about = f"release {answer['release_id']}, as of {answer['as_of']} UTC, {answer['n_events']:,} ratings"
    out.print(f"{verdict}  {about}: {age:.1f} h old, limit {limit:g} h", soft_wrap=True)
    held = [row | {"current": False, "kept": False, "held": True} for row in answer["held"]]
    published.releases([*held, *(row | {"held": False} for row in answer["releases"])])
    for message in answer["warnings"]:
        out.print(f"warning  {message}", style="yellow", soft_wrap=True, markup=False)
    for run in answer["unfinished"]:
        out.print(f"unfinished  run {run}: the next `matinee nightly` goes on with it", markup=False)
    if answer["quarantine"]:
        rows = ", ".join(f"{count:,} {reason}" for reason, count in answer["quarantine"].items())
        out.print(f"quarantine  {rows}", soft_wrap=True, markup=False)

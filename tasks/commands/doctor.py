"""The state of the home, and its repair."""

from tasks import settings
from tasks.commands.answer import Answer
from warehouse import health, store


def doctor(repair: bool) -> Answer:
    """The parts of the home with what is not as it should be, after repairs if they are wanted.

    Raises:
        MatineeError: there is no home, or its store cannot be used.
    """
    home = settings.home()
    repairs = health.repair(home) if repair else []
    parts = [_part(part) for part in health.examine(home)]
    return {
        "home": store.name(home),
        "whole": not any(part["findings"] for part in parts),
        "repairs": repairs,
        "parts": parts,
    }


def _part(part: health.Part) -> Answer:
    findings = [
        {
            "path": str(found.path),
            "state": found.state,
            "problem": found.problem,
            "remedy": found.remedy,
            "repairable": found.repair is not None,
        }
        for found in part.findings
    ]
    return {"part": part.name, "summary": part.summary, "findings": findings}

"""Commands import nothing that takes long before they know that it is needed."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "lightgbm", "gensim", "pandas", "scipy.stats", "scipy.optimize", "altair", "optuna"}

CONFIGURED = "from tasks import config; config.load()"
"""As every command begins that computes; the default configuration has two towers and trees."""


def imported(code: str) -> set[str]:
    """The modules of a fresh interpreter that has run some code."""
    show = "import sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", f"{code}; {show}"], text=True).split())


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("import flows.command.cli", {"prefect", "numpy", "duckdb", "polars", "models"}),
        (f"import tasks.commands.lookup; {CONFIGURED}", {"prefect"}),
        (f"import tasks.commands.why; {CONFIGURED}", {"prefect"}),
        (f"import flows.nightly, flows.hourly; {CONFIGURED}", set()),
    ],
)
def test_what_is_heavy_waits_until_it_is_needed(code: str, others: set[str]) -> None:
    assert imported(code) & (HEAVY | others) == set()

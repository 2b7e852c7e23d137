"""How threads of compiled loops wait, unless somebody decides otherwise."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "5000"), ({"GOMP_SPINCOUNT": "70"}, "70"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
    ids=["nothing", "turns", "policy"],
)
def test_threads_sleep_after_some_turns(chosen: dict[str, str], expected: str) -> None:
    decided = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in decided}
    # What OpenMP itself says when torch has loaded it behind our packages.
    done = subprocess.run(
        [sys.executable, "-c", "import models.dataset, torch; torch.ones(9).sum()"],
        env=environment | chosen | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{expected}'" in done.stderr

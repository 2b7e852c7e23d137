"""Faults, a few of them."""

import pytest

from benchmarks import faults
from tests.benchmarks.printed import numbers


def test_a_few_faults_end_in_a_line_and_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        faults.main(["--examples", "10", "--kills", "1"])
    mutated, killed, full, failures = capsys.readouterr().out.splitlines()[:4]
    assert numbers(mutated)[0] == 10
    assert numbers(killed)[0] == 1
    assert numbers(full)[0] == len(faults.SIZES)
    assert failures == "0 failures"
    assert exit.value.code == 0

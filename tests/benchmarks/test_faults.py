"""Faults, a few of them."""

import pytest

from benchmarks import faults
from tests.benchmarks.printed import numbers


@pytest.mark.usefixtures("server")
def test_a_few_faults_end_in_a_line_and_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        faults.main(["--examples", "10", "--kills", "1", "--full-runs", "1"])
    mutated, killed, full, full_runs, failures = capsys.readouterr().out.splitlines()[:5]
    assert numbers(mutated)[0] == 10
    assert numbers(killed)[0] == 1
    assert numbers(full)[0] == len(faults.SIZES)
    assert numbers(full_runs) == [1, 1]
    assert failures == "0 failures"
    assert exit.value.code == 0

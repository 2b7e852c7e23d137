"""The shape of a source, counted by hand."""

from pathlib import Path

import pytest

from benchmarks import shape
from tests.warehouse import batches

YEAR = 31_557_600


def test_a_row_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Eleven users rated film 1, one of them film 2 as well, a year later; films 3 and 4 have no ratings.
    rows = [(user, 1, 5, 10**9) for user in range(1, 12)] + [(11, 2, 3, 10**9 + YEAR)]
    shape.main([batches.dat(tmp_path / "few", rows), "synthetic:0.01:300"])
    header, _, few, synthetic = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in few.split("|")[1:-1]]
    assert len(cells) == len(header.split("|")) - 2
    weighted = (11 * 10 + 0) / 12 / 10
    assert cells[:-1] == ["`few`", "12", "11", "4", "0", "0.75", f"{weighted:.3f}", "0.00", "1.0"]
    assert synthetic.startswith("| `synthetic:0.01:300` |")

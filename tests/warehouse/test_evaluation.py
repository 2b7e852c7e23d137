"""The files of an evaluation, which later ones are compared with."""

import json
from pathlib import Path

import numpy as np
import pytest

from warehouse import evaluation


@pytest.mark.parametrize(
    ("rows", "sums"),
    [([{"value": 2}], {"sum": np.ones(3), "bad": np.array([None])}), ([{"value": Path}], {})],
    ids=["sums", "metrics"],
)
def test_a_write_that_fails_in_the_middle_leaves_the_earlier_files(
    rows: list[dict[str, object]], sums: dict[str, np.ndarray], tmp_path: Path
) -> None:
    file = tmp_path / "metrics.json"
    evaluation.write(file, [{"value": 1}], {"sum": np.zeros(3)})
    with pytest.raises((ValueError, TypeError)):
        evaluation.write(file, rows, sums)
    assert json.loads(file.read_text()) == [{"value": 1}]
    assert {name: array.tolist() for name, array in evaluation.read_sums(file).items()} == {"sum": [0, 0, 0]}
    assert {entry.name for entry in tmp_path.iterdir()} == {"metrics.json", "metrics.json.npz"}

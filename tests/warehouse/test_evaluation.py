"""The files of an evaluation, which later ones are compared with."""

import json
from pathlib import Path
from pickle import PicklingError

import numpy as np
import pytest

from warehouse import evaluation


@pytest.mark.parametrize(
    ("rows", "sums"),
    [([{"value": 2}], {"sum": np.ones(3), "bad": np.array([lambda: 0])}), ([{"value": Path}], {})],
    ids=["sums", "figures"],
)
def test_a_write_that_fails_in_the_middle_leaves_the_earlier_files(
    rows: list[dict[str, object]], sums: dict[str, np.ndarray], tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    evaluation.write(file, [{"value": 1}], {"sum": np.zeros(3)})
    with pytest.raises((PicklingError, TypeError)):
        evaluation.write(file, rows, sums)
    assert json.loads(file.read_text()) == [{"value": 1}]
    assert {name: array.tolist() for name, array in evaluation.read_sums(file).items()} == {"sum": [0, 0, 0]}
    assert {entry.name for entry in tmp_path.iterdir()} == {"figures.json", "figures.json.npz"}

"""Scores as named arrays and back, so that a later evaluation can be compared user by user."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.evaluation.scores import Scores
from models.state import State


def of_slices(scores: Scores, slices: Sequence[str]) -> Scores:
    """The averaged metrics of some slices alone."""
    return scores.only([key for key in scores.keys if key[0] in slices])


def pack(models: Mapping[str, Scores]) -> State:
    """The scores of each model as named arrays for :func:`unpack`, without sizes and catalogue."""
    arrays: State = {}
    for name, scores in models.items():
        arrays |= {
            f"{name}/split": np.array([scores.protocol, scores.digest]),
            f"{name}/keys": np.array([(part, metric, str(k)) for part, metric, k in scores.keys]),
            f"{name}/numerator": scores.numerator,
            f"{name}/denominator": scores.denominator,
        }
    return arrays


def unpack(arrays: State) -> dict[str, Scores]:
    """The scores that were packed, by model.

    Raises:
        KeyError: the arrays are no packed scores.
    """
    names = [name.removesuffix("/split") for name in arrays if name.endswith("/split")]
    return {name: _scores(name, arrays) for name in names}


def _scores(name: str, arrays: State) -> Scores:
    protocol, digest = arrays[f"{name}/split"].tolist()
    return Scores(
        protocol,
        digest,
        {},
        [(part, metric, int(k)) for part, metric, k in arrays[f"{name}/keys"].tolist()],
        arrays[f"{name}/numerator"],
        arrays[f"{name}/denominator"],
        {},
    )

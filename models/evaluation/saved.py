"""Scores as named arrays and back, so that a later evaluation can be compared user by user."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.evaluation.scores import Scores

Arrays = dict[str, NDArray[Any]]


def of_slices(scores: Scores, slices: Sequence[str]) -> Scores:
    """The averaged metrics of some slices alone."""
    return scores.only([key for key in scores.keys if key[0] in slices])


def pack(models: Mapping[str, Scores]) -> Arrays:
    """What :func:`unpack` needs to make the scores of each model again, without sizes and catalogue."""
    arrays: Arrays = {}
    for name, scores in models.items():
        arrays |= {
            f"{name}/split": np.array([scores.protocol, scores.digest]),
            f"{name}/keys": np.array([(part, metric, str(k)) for part, metric, k in scores.keys]),
            f"{name}/numerator": scores.numerator,
            f"{name}/denominator": scores.denominator,
        }
    return arrays


def unpack(arrays: Arrays) -> dict[str, Scores]:
    """The scores that were packed, by model. Raises KeyError for arrays that are none."""
    names = [name.removesuffix("/split") for name in arrays if name.endswith("/split")]
    return {name: _scores(name, arrays) for name in names}


def _scores(name: str, arrays: Arrays) -> Scores:
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

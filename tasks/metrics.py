"""Rows of the published tables ``metrics`` and ``curves``."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse.runs.run import Run

MetricValue = tuple[str, str, int | None, float]
"""slice, metric, k (None where there is none), value."""

NDCG_ERROR = "ndcg_error"
"""Metric and curve of the standard error of NDCG, users being drawn."""

Curve = tuple[NDArray[np.generic] | Sequence[float], NDArray[np.generic] | Sequence[float]]
"""x and y of the points of a curve, (N,) each."""


def metric_rows(
    run: Run, stage: str, model: str, protocol: str, metrics: Sequence[MetricValue], n_users: int
) -> pl.DataFrame:
    """Rows of ``metrics``."""
    schema = {"slice": pl.String, "metric": pl.String, "k": pl.Int32, "value": pl.Float64}
    frame = pl.DataFrame(metrics, schema=schema, orient="row")
    return frame.with_columns(
        release_id=pl.lit(run.id),
        stage=pl.lit(stage),
        model=pl.lit(model),
        protocol=pl.lit(protocol),
        n_users=pl.lit(n_users, dtype=pl.Int64),
    )


def curve_rows(run: Run, stage: str, model: str, curves: Mapping[str, Curve]) -> pl.DataFrame:
    """Rows of ``curves``, by name of the curve."""
    frames = [
        pl.DataFrame(
            {"x": np.asarray(x, dtype=np.float64), "y": np.asarray(y, dtype=np.float64)}
        ).with_columns(
            release_id=pl.lit(run.id), stage=pl.lit(stage), model=pl.lit(model), curve=pl.lit(name)
        )
        for name, (x, y) in curves.items()
    ]
    return pl.concat(frames)

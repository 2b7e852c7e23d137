"""Figures of a run that are published in the table ``metrics``."""

import polars as pl

from warehouse.runs.run import Run

Figure = tuple[str, str, int | None, float]
"""slice, metric, k (None where there is none), value."""


def metric_rows(
    run: Run, stage: str, model: str, protocol: str, figures: list[Figure], n_users: int
) -> pl.DataFrame:
    """Rows of ``metrics``."""
    schema = {"slice": pl.String, "metric": pl.String, "k": pl.Int32, "value": pl.Float64}
    frame = pl.DataFrame(figures, schema=schema, orient="row")
    return frame.with_columns(
        release_id=pl.lit(run.id),
        stage=pl.lit(stage),
        model=pl.lit(model),
        protocol=pl.lit(protocol),
        n_users=pl.lit(n_users, dtype=pl.Int64),
    )

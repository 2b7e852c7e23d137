"""Declared features: the published tables and what models read are of one meaning."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.dataset import queries_at
from models.features.statistics import by_item, by_user, of_items, of_users, statistic
from tasks import data
from tasks.steps.features import FEATURES, READ
from tests import home as small
from warehouse.runs import feature_tables, files

STATISTICS = [feature for feature in READ if feature.source == "statistic"]


@pytest.mark.parametrize(
    "as_of", [datetime(2001, 1, 1, 0, 30), datetime(2001, 1, 3, 7), datetime(2001, 2, 1)]
)
def test_published_statistics_are_those_that_models_read(tmp_path: Path, as_of: datetime) -> None:
    run = small.begin(small.write_home(tmp_path, n_events=150), as_of)
    feature_tables.write(run, FEATURES)
    log, _ = data.encode_snapshot(run)
    moment = np.full(log.n_items, log.as_of, dtype=np.int64)
    past = {
        "user": of_users(by_user(log), queries_at(log)),
        "item": of_items(by_item(log), np.arange(log.n_items, dtype=np.int32), moment),
    }
    compared = 0
    for feature in STATISTICS:
        table = files.read_table(run, f"{feature.side}_features")
        if feature.name in table.columns:
            published = table[feature.name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            read = statistic(feature.what, past[feature.side], feature.parameters)
            np.testing.assert_allclose(read, published, rtol=1e-9, atol=1e-9, err_msg=feature.column)
            compared += 1
    assert compared == sum(
        "type" in block and "statistic" in block for side in FEATURES.values() for block in side
    )


def test_names_are_unique_and_everything_is_explained() -> None:
    columns = [feature.column for feature in READ]
    assert len(set(columns)) == len(columns)
    assert all(block["about"] for side in FEATURES.values() for block in side)

"""Declared features: the published tables and what models read are of one meaning."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.dataset import queries_at
from models.features.statistics import by_item, by_user, of_items, of_users, statistic
from tasks import data, declarations
from tests import home as small
from warehouse.errors import MatineeError
from warehouse.runs import feature_tables, files

FEATURES = small.FEATURES
READ = declarations.of(None)
STATISTICS = [feature for feature in READ if feature.source == "statistic"]


@pytest.mark.parametrize(
    "as_of", [datetime(2001, 1, 1, 0, 30), datetime(2001, 1, 3, 7), datetime(2001, 2, 1)]
)
def test_published_statistics_are_those_that_models_read(tmp_path: Path, as_of: datetime) -> None:
    run = small.begin(small.write_home(tmp_path, n_events=150), as_of)
    feature_tables.write(run, FEATURES)
    log = data.encoded(run).dataset
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


def test_a_file_that_does_not_publish_what_a_release_needs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    packaged = (Path(declarations.__file__).parent / declarations.FILE).read_text()
    file.write_text(packaged.replace('name = "last_event_at"', 'name = "newest_event_at"'))
    with pytest.raises(MatineeError, match="last_event_at of users"):
        declarations.check(file)
    file.write_text("")
    with pytest.raises(MatineeError, match="a release needs n_ratings"):
        declarations.check(file)


def test_sql_that_fails_is_one_line(tmp_path: Path) -> None:
    run = small.begin(small.write_home(tmp_path))
    broken = {"name": "broken", "kind": "numeric", "type": "DOUBLE", "sql": "median(ratng)"}
    with pytest.raises(MatineeError, match=r"features of items: .*ratng") as caught:
        feature_tables.write(run, FEATURES | {"item": [*FEATURES["item"], broken]})
    assert "\n" not in str(caught.value)

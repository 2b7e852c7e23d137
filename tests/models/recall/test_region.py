"""Popularity by area against a plain definition, and where an area is not known."""

import numpy as np
import pytest
from pydantic import ValidationError

from models.dataset import DAY, Dataset, Queries, queries_at
from models.recall.region import Region, RegionConfig
from tests.models.recall.small_logs import small_log

LOG = small_log(1)


def scores(
    log: Dataset, zip_code: int, smoothing: float, widths: tuple[int, ...], half_life: float
) -> np.ndarray:
    """(I,) chances: everybody's, then those of ever narrower areas, each smoothed by the one before."""
    weight = 0.5 ** ((log.as_of - log.at) / DAY / half_life)
    zips = log.users["zip"][log.user_idx]
    chance = np.bincount(log.item_idx, weight, log.n_items) / weight.sum()
    for width in widths:
        if zip_code >= 0:
            same = (zips >= 0) & (zips // 10 ** (5 - width) == zip_code // 10 ** (5 - width))
            if same.any():
                counts = np.bincount(log.item_idx[same], weight[same], log.n_items)
                chance = (counts + smoothing * chance) / (counts.sum() + smoothing)
    return chance


def unseen_by_anybody(log: Dataset) -> Queries:
    """A query of each user without a history."""
    queries = queries_at(log)
    return Queries(queries.user_idx, queries.at, queries.start, queries.start, log)


@pytest.mark.parametrize("widths", [(1, 3), (2,), (1, 3, 5)])
def test_popularity_of_areas_backs_off_to_wider_ones(widths: tuple[int, ...]) -> None:
    config = RegionConfig(prefixes=widths, half_life=50.0, smoothing=20.0)
    found = Region(config).fit(LOG).recommend(unseen_by_anybody(LOG), 10)
    for user, zip_code in enumerate(LOG.users["zip"].tolist()):
        expected = scores(LOG, zip_code, 20.0, widths, 50.0)
        np.testing.assert_allclose(found.score[user], -np.sort(-expected)[:10], rtol=1e-5)
        np.testing.assert_allclose(expected[found.item[user]], found.score[user], rtol=1e-5)


def test_an_area_without_users_gets_the_list_of_the_wider_one() -> None:
    region = Region(RegionConfig(smoothing=1.0)).fit(LOG)
    zips = np.array([10001, 10999, 30301, -1], dtype=np.int32)
    other = Dataset(*(np.empty(0, dtype=dtype) for dtype in (np.int32, np.int32, np.float32, np.int64)), 4,
                    LOG.n_items, LOG.as_of, {"zip": zips})  # fmt: skip
    found = region.recommend(queries_at(other), 10)
    for row, zip_code in enumerate((10001, None, -1, -1)):
        widths = (1, 3) if zip_code is not None else (1,)
        expected = scores(LOG, 10999 if zip_code is None else zip_code, 1.0, widths, 180.0)
        np.testing.assert_allclose(found.score[row], -np.sort(-expected)[:10], rtol=1e-5)


def test_by_geohash_neighbours_of_other_zip_codes_are_of_one_area() -> None:
    """Brooklyn (112) and Manhattan (100, 101) share four characters of the geohash, and no three digits."""
    config = RegionConfig(areas="geohash", prefixes=(1, 4), smoothing=1.0)
    found = Region(config).fit(LOG).recommend(unseen_by_anybody(LOG), 10)
    by_zip = Region(RegionConfig(smoothing=1.0)).fit(LOG).recommend(unseen_by_anybody(LOG), 10)
    np.testing.assert_array_equal(found.item[0], found.item[2])
    assert (by_zip.item[0] != by_zip.item[2]).any()


@pytest.mark.parametrize("settings", [{"prefixes": (3, 1)}, {"prefixes": (6,)}, {"prefixes": (2, 2)}])
def test_prefixes_ascend_up_to_what_there_is(settings: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValidationError, match="prefixes of zip ascend up to 5"):
        RegionConfig(**settings)

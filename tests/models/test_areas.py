"""Areas: geohashes of published examples, and of zip codes."""

import numpy as np
import pytest

from models.areas import BITS, geohash, geohashes, prefixes

CHARACTERS = "0123456789bcdefghjkmnpqrstuvwxyz"


def text(code: int) -> str:
    return "".join(CHARACTERS[code >> shift & 31] for shift in range(BITS - 5, -1, -5))


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (42.605, -5.603, "ezs42"),
        (57.64911, 10.40744, "u4pruy"),
        (90.0, 180.0, "zzzzzz"),
        (-90.0, -180.0, "000000"),
    ],
)
def test_geohash(latitude: float, longitude: float, expected: str) -> None:
    (code,) = geohash(np.array([latitude]), np.array([longitude])).tolist()
    assert text(code).startswith(expected)


def test_zip_codes_have_the_geohash_of_their_town() -> None:
    codes = geohashes(np.array([10001, -1, 94110, 99999], dtype=np.int32)).tolist()
    assert text(codes[0]).startswith("dr5r"), "Manhattan"
    assert text(codes[2]).startswith("9q8y"), "San Francisco"
    assert codes[1] == codes[3] == -1


def test_prefixes_of_what_is_unknown_are_unknown() -> None:
    assert prefixes(np.array([2139, 94110, -1], dtype=np.int32), 100).tolist() == [21, 941, -1]

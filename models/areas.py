"""Areas as numbers whose prefixes are wider areas: zip codes, and geohashes of their coordinates.

A geohash halves longitude and latitude in turns, one bit each, and reads five bits as a character
(https://en.wikipedia.org/wiki/Geohash). Coordinates of the zip codes of the United States are those of the
package zipcodes, which has them from GeoNames.
"""

import numpy as np

from models.dataset import Doubles, Ints

ZIP_DIGITS = 5
"""Digits of a zip code."""

GEOHASH_LENGTH = 6
"""Characters of a geohash: cells of about a kilometre."""

BITS = 5 * GEOHASH_LENGTH
"""Bits of a geohash."""


def prefixes(codes: Ints, beyond: int) -> Ints:
    """The codes (U,) without their last digits, which make ``beyond`` different numbers; -1 stays -1."""
    return np.where(codes >= 0, codes // beyond, -1).astype(np.int32)


def geohash(latitude: Doubles, longitude: Doubles) -> Ints:
    """(N,) geohashes of places in degrees, as numbers of 30 bits."""
    code = np.zeros(len(latitude), dtype=np.int32)
    cells = 1 << (BITS // 2)
    x = np.minimum((longitude + 180) / 360 * cells, cells - 1).astype(np.int32)
    y = np.minimum((latitude + 90) / 180 * cells, cells - 1).astype(np.int32)
    for bit in range(BITS // 2):
        code |= ((y >> bit) & 1) << (2 * bit)
        code |= ((x >> bit) & 1) << (2 * bit + 1)
    return code


def geohashes(zips: Ints) -> Ints:
    """(U,) geohashes of zip codes, as numbers; -1 for one that is unknown or -1."""
    # Only here: the table takes some tenths of a second to load, and most configurations do without.
    import zipcodes

    distinct, number = np.unique(zips, return_inverse=True)
    matches = [zipcodes.matching(f"{code:05d}")[:1] if code >= 0 else [] for code in distinct]
    towns = [match for (match,) in filter(None, matches)]
    latitude, longitude = (np.array([float(town[key]) for town in towns]) for key in ("lat", "long"))
    code = np.full(len(distinct), -1, dtype=np.int32)
    code[[bool(match) for match in matches]] = geohash(latitude, longitude)
    return code[number]

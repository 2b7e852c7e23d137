"""The two kinds of MovieLens data set that can be made up: the times, and how popularity is spread."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Times in epoch seconds, and what decides the popularity of films."""

    arrivals: dict[int, int]
    """Time from which, users who came until the next; in the ratio of these numbers."""

    last_arrival: int
    """Time until which users come."""

    newest_first: bool
    """Whether who came later has the smaller id, as in MovieLens 1M; else ids tell nothing."""

    end: int
    """Time when the log ends."""

    last_year: int
    """Year in which the newest films came out."""

    recent_years: float
    """Mean age in years of the recent two thirds of the films."""

    popular: int | None
    """Films that are popular at most; all others make up the second long tail. None without one."""


MOVIELENS_1M = Shape(
    # From 2000-04-25 on, then from the first of each month.
    arrivals={
        956_703_932: 86,
        957_139_200: 466,
        959_817_600: 407,
        962_409_600: 634,
        965_088_000: 1101,
        967_766_400: 317,
        970_358_400: 248,
        973_036_800: 2106,
        975_628_800: 675,
    },
    last_arrival=978_307_200,  # 2001-01-01
    newest_first=True,
    end=1_046_454_590,  # 2003-02-28
    last_year=2000,
    recent_years=4.0,
    popular=None,
)

LARGE = Shape(
    arrivals={789_609_600: 1},  # 1995-01-09, evenly from then on
    last_arrival=1_697_155_200,  # 2023-10-13, as MovieLens 32M
    newest_first=False,
    end=1_697_155_200,
    last_year=2023,
    recent_years=12.0,
    popular=4500,
)

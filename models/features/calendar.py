"""Holidays as a feature of the moment of a query."""

from datetime import date, timedelta
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, NonNegativeInt

from models.dataset import DAY, Doubles, Longs, Queries


def _has_holidays(country: str) -> str:
    # Only here: most configurations do without, and every command would wait for the library.
    from holidays.utils import list_supported_countries

    if country not in list_supported_countries():
        raise ValueError(f"no holidays of {country!r} are known: give a code of ISO 3166, such as US")
    return country


Country = Annotated[str, AfterValidator(_has_holidays)]
"""Code of a country (ISO 3166) whose public holidays are known."""


def holiday(queries: Queries, country: Country, days: NonNegativeInt = 0) -> Doubles:
    """1 within so many days of a public holiday (dates in UTC), else 0."""
    day, number = np.unique(queries.at // DAY, return_inverse=True)
    near: Doubles = np.zeros(len(day))
    if len(day):
        holidays = _holidays(country, int(day[0]) - days, int(day[-1]) + days)
        after = np.searchsorted(holidays, day - days)  # the first that is not too long ago
        near[:] = np.append(holidays, np.iinfo(np.int64).max)[after] <= day + days
    return near[number]


def _holidays(country: str, first: int, last: int) -> Longs:
    """Days since 1970, ascending, of the holidays from one day to another one."""
    from holidays.utils import country_holidays

    epoch = date(1970, 1, 1)
    years = range((epoch + timedelta(first)).year, (epoch + timedelta(last)).year + 1)
    days = [(found - epoch).days for found in country_holidays(country, years=years)]
    return np.sort(np.array(days, dtype=np.int64))

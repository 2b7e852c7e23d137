"""Limits of the gate; docs/operate.md says where each comes from."""

from typing import Literal, get_args

from pydantic import NonNegativeInt

from models.bounds import Fraction, NonNegative, Positive
from models.config import Config

Holding = Literal[
    "clock",
    "quarantined",
    "resent",
    "user events",
    "film events",
    "volume",
    "states",
    "metrics",
    "coverage",
    "top film",
    "overlap",
    "fillers",
]
"""The checks that hold a release by default, by name; some are made of several models or segments."""

Blocking = Literal[Holding, "duplicates", "drift"]
"""All checks by name."""


class GateConfig(Config):
    """Checks of a release before it is published."""

    blocking: tuple[Blocking, ...] = get_args(Holding)
    """Checks that hold a release which fails them; the others only warn."""
    min_users: NonNegativeInt = 200
    """Users whose lists, or answers of the holdout, are looked at; of fewer nothing is concluded."""
    min_events: NonNegativeInt = 1_000
    """New events, or rows of new batches, that are looked at; of fewer nothing is concluded."""
    comparable_days: NonNegative = 8.0
    """Days that the published release may be older, for a new one to be held against it."""
    max_quarantined: Fraction = 0.2
    """Fraction of the rows of new batches that may be quarantined, repeated ones aside."""
    max_duplicates: Fraction = 0.5
    """Fraction of the rows of new batches that the log may have already."""
    min_resent: Fraction = 0.9
    """Rows of a source that sends everything each time, as a fraction of those of its last delivery."""
    max_events_by_user: NonNegativeInt = 5_000
    """New events that one user may have, or a tenth of all if that is more."""
    max_film_fraction: Fraction = 0.2
    """Fraction of the new events that one film may have."""
    max_volume_deviations: Positive = 5.0
    """Robust standard deviations that the events a day may be below those of the last 28 full releases."""
    max_psi: NonNegative = 0.25
    """Population stability index of new events against those of the month before, beyond that of chance."""
    max_drop: Fraction = 0.25
    """Fraction of the published release's NDCG on the holdout that may be lost, beyond that of chance."""
    min_coverage: Fraction = 0.5
    """Films in first pages, as a fraction of those of the published release."""
    max_top_film: Fraction = 0.95
    """Fraction of the first pages that may show the same film."""
    min_overlap: Fraction = 0.25
    """Films of the first pages of a segment that those of the published release have too."""
    max_fillers: Fraction = 0.2
    """Fraction of the first pages that no channel recalled a film for."""

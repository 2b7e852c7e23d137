"""The settings of re-ranking."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from models.bounds import BelowOne, Between, NonNegative
from models.config import Config


class RulesConfig(Config):
    """Rules on what stands close together in a list; they give way where nothing else is left."""

    window: PositiveInt = 10
    """Consecutive films of a list that the rules count in."""
    genre: PositiveInt | None = None
    """Films of one genre in a window at most; any number by default."""
    franchise: PositiveInt | None = None
    """Films of one franchise, by their titles, in a window at most; any number by default."""
    decade: PositiveInt | None = None
    """Films of one decade in a window at most; any number by default."""


class QuotaConfig(Config):
    """Films of which each page has a number at least, as far as candidates go."""

    fresh: NonNegativeInt = 0
    """Fresh films on each page at least."""
    fresh_years: NonNegativeInt = 1
    """Years before the year of the lists in which a film is fresh, by its own year."""
    fresh_ratings: NonNegativeInt = 0
    """Ratings below which a film is fresh whatever its year; 1 for films that nobody has rated."""
    long_tail: NonNegativeInt = 1
    """Films of the long tail on each page at least."""
    head: BelowOne = 0.8
    """Fraction of all ratings that the most rated films have; the other films are the long tail."""


class CapConfig(Config):
    """The cap on how many users' first pages one film is on."""

    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Fraction of users on whose first page a film may be at most; 1, the default, is no cap."""
    max_users: PositiveInt = 2_000
    """Users whose lists the prices of films are fitted on, drawn by the seed; below that, all."""


class RerankConfig(Config):
    """Re-ranking: from the order of single films to a list as a whole."""

    method: Literal["none", "mmr", "dpp"] = "none"
    """Measure of diversity: `mmr` by the nearest film, `dpp` by all together; `none` re-ranks nothing."""
    pool: PositiveInt = 200
    """Candidates of a user that lists are chosen from, those that ranking puts first."""
    diversity: NonNegative = 0.4
    """Log odds that one unit of diversity is worth."""
    window: PositiveInt = 10
    """Films before it that a film shall differ from."""
    similarity: Literal["blended", "two_tower", "genre"] = "blended"
    """Vectors that say what is alike: of genres, of the channel that learns on, or both."""
    genre_weight: Between = 0.3
    """Weight of genres in the blend; without a channel that learns on they count alone."""
    absence: PositiveFloat = 3.0
    """Days since a user's newest event after which scores count half beside all else; inf: never."""
    least_weight: Between = 0.1
    """Weight of the scores of users who have been away for ever."""
    calibration: NonNegative = 0.0
    """Log odds that a nat less divergence of a list from its user's mix of genres is worth."""
    alpha: Between = 0.01
    """Weight of the user's own mix in that of a list, so that a genre it lacks costs no infinity."""
    band: PositiveInt = 1
    """Neighbouring candidates whose scores are exchanged at random; 1 draws nothing."""
    page_size: PositiveInt = 10
    """Films of a list that are seen at a time: quotas count on each page, the cap on the first."""
    rules: RulesConfig = RulesConfig()
    """At most so many films of a kind close together."""
    quotas: QuotaConfig = QuotaConfig()
    """At least so many films of a kind on each page."""
    cap: CapConfig = CapConfig()
    """At most so many users for one film."""

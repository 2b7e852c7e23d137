"""Inputs of the towers: the schema of a data set, and its users, items and histories encoded by it."""

from collections.abc import Sequence

import numpy as np
from numba import njit

from models.dataset import DAY, HOUR, Dataset, Doubles, Floats, Longs
from models.encoding import USER_ATTRIBUTES
from models.features.declare import Declaration
from models.features.encode import declared_schema, encoder_of_codes
from models.features.extract import attributes
from models.features.schema import Columns, Feature, FeatureSchema
from models.two_tower.config import TowersConfig

YEAR_EDGES = tuple(float(year) for year in range(1905, 2050, 5))
"""Years go into buckets of five, so that a new film never changes the schema."""

GAP_EDGES = np.array(
    [1, 2, 4, 8, 15, 30, 60, 120, 300, 900, HOUR // 2, HOUR, 4 * HOUR, DAY, 7 * DAY, 60 * DAY]
)
"""Bounds in seconds of the codes of gaps; code 1 is the same second, 0 no event."""

GAPS = ("gap_1", "gap_2", "gap_3", "gap_4")
"""Times between the newest event and the one before it, between that one and the one before, and so on."""

RUN, LONGEST_RUN = "run", 16
"""Events in the second of the newest one, it included: films of one page of a site; and the most counted."""

SINCE = "since"
"""Time from the newest event to the question."""

ITEM_ID = Declaration("item", "id", "categorical", "attribute", "index")
USER_ID = Declaration("user", "id", "categorical", "attribute", "index")
DEMOGRAPHICS = tuple(Declaration("user", name, "categorical", "attribute", name) for name in USER_ATTRIBUTES)
ITEM_ATTRIBUTES = (
    Declaration("item", "genres", "multi_hot", "attribute", "genres"),
    Declaration("item", "year", "bucketed", "attribute", "year", edges=YEAR_EDGES),
)


def schema_of(dataset: Dataset, config: TowersConfig) -> FeatureSchema:
    """The inputs of the towers over this data set: only attributes that it has."""
    wanted = [ITEM_ID]
    wanted += [USER_ID] if config.user_id else []
    wanted += DEMOGRAPHICS if config.demographics else []
    wanted += ITEM_ATTRIBUTES if config.attributes else []
    has = {"index", *dataset.users, *dataset.items}
    item_id, *others = declared_schema([d for d in wanted if d.what in has], (), dataset).features
    # Histories and statistics change from event to event: the collator computes them position by position.
    table = item_id.table if config.tied else "history"
    history = Feature("history", "user", "sequence", dataset.n_items + 1, table)
    statistics = [
        Feature("history_events", "user", "numeric"),
        Feature("history_rating", "user", "numeric"),
        Feature("item_events", "item", "numeric"),
        Feature("item_rating", "item", "numeric"),
    ]
    context = [
        Feature("hour", "context", "categorical", 25),
        Feature("weekday", "context", "categorical", 8),
        Feature(SINCE, "context", "categorical", len(GAP_EDGES) + 2),
    ]
    pace = [Feature(name, "user", "categorical", len(GAP_EDGES) + 2) for name in GAPS]
    pace.append(Feature(RUN, "user", "categorical", LONGEST_RUN + 1))
    choices = ((config.statistics, statistics), (config.pace, pace), (config.context, context))
    optional = [feature for chosen, features in choices if chosen for feature in features]
    return FeatureSchema((item_id, history, *others, *optional))


def user_columns(dataset: Dataset, schema: FeatureSchema) -> Columns:
    """Codes (U + 1,) of the categorical features of users; the last row is the user nobody knows.

    So the user_idx -1 of an unknown user finds its row. A label that came after the schema is unknown.
    """
    return _attributes(dataset, schema, (USER_ID, *DEMOGRAPHICS))


def item_columns(dataset: Dataset, schema: FeatureSchema) -> Columns:
    """All features of the items: codes (I,), numbers (I,), or (I, G) of 0 and 1."""
    columns = _attributes(dataset, schema, (ITEM_ID, *ITEM_ATTRIBUTES))
    if any(feature.name == "item_events" for feature in schema.features):
        events = np.bincount(dataset.item_idx, minlength=dataset.n_items)
        rated = np.bincount(dataset.item_idx, dataset.rating, dataset.n_items).astype(np.float64)
        columns |= {"item_events": scaled_count(events), "item_rating": scaled_mean(rated, events)}
    return columns


def context_columns(at: Longs, newest: Longs) -> Columns:
    """The moments ``at`` of some questions, any shape, after a newest event: codes from 1."""
    return {
        "hour": at // HOUR % 24 + 1,
        "weekday": (at // DAY + 3) % 7 + 1,
        SINCE: np.searchsorted(GAP_EDGES, at - newest, side="right") + 1,
    }


def pace_columns(at: Longs, origin: Longs, end: Longs) -> Columns:
    """The pace at the end (exclusive) of histories that begin at a row ``origin``, codes of any one shape.

    ``at`` (E,) are the times of the log.
    """
    codes = _pace(at, origin.ravel(), end.ravel(), GAP_EDGES).reshape(*end.shape, len(GAPS) + 1)
    return {name: np.ascontiguousarray(codes[..., number]) for number, name in enumerate((*GAPS, RUN))}


@njit(cache=True)
def _pace(at: Longs, origin: Longs, end: Longs, edges: Longs) -> Longs:
    codes = np.zeros((len(end), len(GAPS) + 1), dtype=np.int64)
    for n in range(len(end)):
        newest = end[n] - 1
        for number in range(len(GAPS)):
            row = newest - number
            if row <= origin[n]:
                break
            codes[n, number] = np.searchsorted(edges, at[row] - at[row - 1], side="right") + 1
        row = newest
        while row >= origin[n] and at[row] == at[newest] and codes[n, -1] < LONGEST_RUN:
            codes[n, -1] += 1
            row -= 1
    return codes


def scaled_count(count: Longs) -> Floats:
    """Counts on a scale that networks like: log(1 + n) / 5."""
    scaled: Floats = (np.log1p(count) / 5).astype(np.float32)
    return scaled


def scaled_mean(total: Doubles, count: Longs) -> Floats:
    """Mean ratings around 0, shrunk to 3.5 stars by five pseudo-ratings."""
    scaled: Floats = ((total - 3.5 * count) / (count + 5)).astype(np.float32)
    return scaled


def _attributes(dataset: Dataset, schema: FeatureSchema, declared: Sequence[Declaration]) -> Columns:
    """The declared features that the schema has, encoded; codes are int64, which torch gathers by."""
    by_name = {feature.name: feature for feature in schema.features}
    wanted = [feature for feature in declared if feature.column in by_name]
    encoder = encoder_of_codes(wanted, FeatureSchema(tuple(by_name[d.column] for d in wanted)))
    users, items, _ = encoder.encode(attributes(wanted, dataset))
    return {
        name: column.astype(np.int64) if column.dtype == np.int32 else column
        for name, column in (users | items).items()
    }

"""Inputs of the towers: the schema of a data set, and its users, items and histories encoded by it."""

from collections.abc import Sequence

import numpy as np

from models.dataset import DAY, HOUR, Dataset, Doubles, Floats, Longs
from models.encoding import USER_ATTRIBUTES
from models.features.declare import Declaration
from models.features.encode import declared_schema, encoder_of_codes
from models.features.extract import attributes
from models.features.schema import Columns, Feature, FeatureSchema
from models.two_tower.config import TowersConfig

YEAR_EDGES = tuple(float(year) for year in range(1905, 2050, 5))
"""Years go into buckets of five, so that a new film never changes the schema."""

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
        Feature("days_away", "context", "numeric"),
    ]
    optional = [*(statistics if config.statistics else ()), *(context if config.context else ())]
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
    """The moments ``at`` of some questions, any shape, after a newest event: codes from 1, and a number."""
    days_away = np.log1p(np.maximum(at - newest, 0) / DAY) / 5
    return {
        "hour": at // HOUR % 24 + 1,
        "weekday": (at // DAY + 3) % 7 + 1,
        "days_away": days_away.astype(np.float32),
    }


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

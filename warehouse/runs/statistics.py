"""Declared statistics of ratings as SQL aggregates; models have the same, compiled, for any moment."""

from typing import Any

Declarations = list[dict[str, Any]]
"""What features.toml says under one heading."""

STATISTICS = {
    "count": "count(rating){window}",
    "mean": "avg(rating){window}",
    "variance": "var_pop(rating){window}",
    "smoothed_mean": (
        "(coalesce(sum(rating){window}, 0) + {prior} * any_value(overall.mean))"
        " / (count(rating){window} + {prior})"
    ),
    "decayed_count": "coalesce(sum(power(0.5, age_days / {half_life_days})), 0)",
    "share": "count(rating){window} / greatest(any_value(overall.n_users), 1)",
    "days": "count(distinct event_at::date){window}",
    "oldest_age": "max(age_days){window}",
    "newest_age": "min(age_days){window}",
}
"""Over one user's or item's ratings, with the columns that run/user_features and run/item_features name."""


def expression(declaration: dict[str, Any]) -> str:
    """The aggregate of a published feature: its own ``sql``, or that of its statistic."""
    if "sql" in declaration:
        return str(declaration["sql"])
    days = declaration.get("window_days")
    window = "" if days is None else f" filter (age_days <= {days})"
    return STATISTICS[declaration["statistic"]].format(window=window, **declaration)

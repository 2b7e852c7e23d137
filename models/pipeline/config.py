"""The settings that decide the published list."""

DEFAULT_CHANNELS = (
    "popular",
    "segment",
    "item_cf",
    "swing",
    "user_cf",
    "attribute",
    "new_items",
    "mf",
    "sequential_linear",
    "ease",
    "ease_plain",
    "word2vec",
    "deepwalk",
    "two_tower",
)
"""The channels that recall unless told otherwise."""

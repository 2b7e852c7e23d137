"""The two-tower retrieval model: towers, negatives, losses, nightly training and hourly updates."""

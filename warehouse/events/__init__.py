"""The append-only log of ratings, its catalogue and its quarantine."""

"""Limits of runs: of their time, and of how many may publish at once. Nothing is imported here."""

HOUR = 3600.0
"""Seconds, of which limits of time are made."""

PUBLISHING = "matinee-publish"
"""The global concurrency limit that shows in Prefect's UI who publishes and who waits."""

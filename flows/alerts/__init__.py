"""Alarms: what rings, and where. Prefect's server loads this package as a collection of blocks."""

from flows.alerts.file import AlertFile

__all__ = ["AlertFile"]

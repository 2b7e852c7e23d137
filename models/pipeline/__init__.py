"""The published list, defined once: for nightly, hourly, evaluate and replay."""

"""Releases: how they are built, checked, published, kept and queried."""

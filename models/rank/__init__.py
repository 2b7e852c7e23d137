"""Rankers: one file each, all over a FeatureSchema."""

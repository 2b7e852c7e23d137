"""Runs: what one flow run sees and makes."""

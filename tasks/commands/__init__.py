"""The answers to the commands."""

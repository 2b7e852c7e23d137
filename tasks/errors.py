"""The error that a command shows as one line, without anything heavy to import."""

from warehouse.errors import MatineeError

__all__ = ["MatineeError"]

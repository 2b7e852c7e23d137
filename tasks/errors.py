"""The errors that a command shows as one line, without anything heavy to import."""

from warehouse.errors import Held, MatineeError

__all__ = ["Held", "MatineeError"]

"""The errors that a command shows as one line, without anything heavy to import."""

from warehouse.errors import Held, MatineeError

__all__ = ["Held", "MatineeError", "explained"]


def explained(error: BaseException) -> str | None:
    """The cause of an error from far below and the way out, in a line; None if it is a bug."""
    from tasks import settings
    from warehouse import faults

    return faults.explained(error, settings.home())

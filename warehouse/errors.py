"""Mistakes that a person can put right. The command prints the message as one line and exits with code 2."""


class MatineeError(Exception):
    """The message is one line that says what is wrong and what to do."""


class AnotherDataset(MatineeError):  # noqa: N818 - says what it is
    """A source that does not belong to the data set of this home."""


class Damaged(MatineeError):  # noqa: N818
    """A file of a home that is not what was written."""


class Unreachable(MatineeError):  # noqa: N818
    """A download that the network did not deliver."""


class Held(MatineeError):  # noqa: N818
    """A release that the gate holds: it is there to be looked at, and what is published stays."""


class LostRace(MatineeError):  # noqa: N818
    """Another release was published since this run began: compute again from that one."""

"""The one error that people see: a line that says what is wrong and what to do."""


class MatineeError(Exception):
    """A user's or an operator's problem, told in one line; the command prints it and exits with 2."""

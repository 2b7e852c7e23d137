"""Answers as people see them in a terminal; imported when there is one to show."""

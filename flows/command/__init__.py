"""The ``matinee`` command, its screens and pages, and the local server."""

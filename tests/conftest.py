"""Fixtures of all tests: one Prefect server a session, and hypothesis without deadlines."""

import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The first call of a compiled function takes seconds; examples are the same on every machine.
settings.register_profile("matinee", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("matinee")

os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
# Steps are also called outside of flows here.
os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"
for variable in [name for name in os.environ if name.startswith("MATINEE_")]:
    del os.environ[variable]
# A home, and so a configuration file, of the person who runs the tests decides nothing.
os.environ["MATINEE_HOME"] = tempfile.mkdtemp(prefix="matinee-tests-")


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server with its own database; flows run against it."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=90):
        yield

"""What all tests share: one Prefect server a session, and hypothesis without deadlines."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The first call of a compiled function takes seconds; examples are the same on every machine.
settings.register_profile("matinee", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("matinee")

os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
for variable in ("MATINEE_HOME", "MATINEE_SOURCE", "MATINEE_KEEP_RELEASES"):
    os.environ.pop(variable, None)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server with its own database; flows run against it."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=90):
        yield

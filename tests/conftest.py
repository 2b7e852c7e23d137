"""For all tests: one Prefect server a session, hypothesis without deadlines, and the order of files."""

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
# Nobody looks at events here, and without their writer the server's database has one less: now and then a run
# had to wait a minute to be told that it has ended.
for service in ("EVENT_PERSISTER", "TRIGGERS"):
    os.environ[f"PREFECT_SERVER_SERVICES_{service}_ENABLED"] = "false"
# Steps are also called outside of flows here.
os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"
for variable in [name for name in os.environ if name.startswith("MATINEE_")]:
    del os.environ[variable]
# A home, and so a configuration file, of the person who runs the tests decides nothing.
os.environ["MATINEE_HOME"] = tempfile.mkdtemp(prefix="matinee-tests-")

FIRST = ("tests/flows/test_nightly.py", "tests/warehouse/")
"""Files and folders in front of all others.

A checkout has nothing compiled. While one process compiles what a whole night calls, the other one tests the
warehouse, which compiles next to nothing: two nights at once would compile the same functions twice.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of FIRST in front, in its order; all others stay as they are."""
    items.sort(key=lambda item: [not item.nodeid.startswith(path) for path in FIRST])


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server with its own database; flows run against it."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=90):
        yield

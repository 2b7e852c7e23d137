"""Small sources for the benchmarks, and a Prefect server that they and the commands they start share."""

import logging
import os
from collections.abc import Iterator

import pytest

from tests.models.evaluation.logs import random_log
from tests.warehouse import batches


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Take back what benchmarks, which end with their process elsewhere, leave behind."""
    before, logger = dict(os.environ), logging.getLogger("matinee")
    level, handlers, propagate = logger.level, list(logger.handlers), logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def server(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of the session's server in the environment, for processes that a benchmark starts."""
    from prefect.settings import PREFECT_API_URL

    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Files in the layout of ml-1m, over the years that all protocols need."""
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=60, n_items=80, n_events=3_000)
    return batches.of_log(tmp_path_factory.mktemp("source") / "small", log, n_people=60)

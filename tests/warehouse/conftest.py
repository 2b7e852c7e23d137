"""An object store for the tests of homes on one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import s3
from warehouse import store

Machine = Callable[[str], Path]


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with s3.served() as url:
        yield url


@pytest.fixture
def url(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new home on a store."""
    s3.use(monkeypatch, endpoint)
    return s3.new_home()


@pytest.fixture
def machine(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The folder in which a machine, by its name, works for that home."""

    def folder(name: str) -> Path:
        monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / name))
        return store.working_folder(url)

    return folder

"""A small home for every test of this folder."""

from pathlib import Path

import pytest

from tests import home as homes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return homes.write_home(tmp_path)

"""For whole nights and hours."""

from collections.abc import Iterator

import pytest
import tomli_w


@pytest.fixture(scope="module")
def short_training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Towers of the default configuration pass the small log three times, not twenty: half of a night."""
    file = tmp_path_factory.mktemp("configuration") / "matinee.toml"
    file.write_text(tomli_w.dumps({"channels": {"two_tower": {"training": {"epochs": 3}}}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_CONFIG", str(file))
        yield

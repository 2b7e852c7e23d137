"""Sources that belong to the data set of a home: where the line is drawn."""

from pathlib import Path

import pytest

from tests.warehouse import batches
from warehouse.errors import AnotherDataset
from warehouse.events import catalog, log

N = 20
FILMS = {item: (f"Film {item} (2000)", "Drama") for item in range(1, N + 1)}
PEOPLE = {user: f"F::25::1::{user:05d}" for user in range(1, N + 1)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in the ``::`` layout with N films and N users."""
    log.ingest(tmp_path / "home", batches.dat(tmp_path / "mine", [(1, 1, 5, 1)], FILMS, PEOPLE))
    return tmp_path / "home"


def other_titles(folder: Path, n: int) -> str:
    changed = {item: (f"Other {item} (2000)", "Drama") for item in range(1, n + 1)}
    return batches.dat(folder, [(1, 1, 5, 2)], FILMS | changed)


def other_people(folder: Path, n: int) -> str:
    changed = {user: f"M::25::1::{user:05d}" for user in range(1, n + 1)}
    return batches.dat(folder, [(1, 1, 5, 2)], None, PEOPLE | changed)


def other_layout(folder: Path, n: int) -> str:
    movies = "".join(f"{item},{FILMS[item][0]},Drama\n" for item in range(1, n + 1))
    return batches.csv(folder, [(1, 1, 5, 2)], movies)


@pytest.mark.parametrize(
    ("other", "welcome", "reason"),
    [
        (other_titles, N // 10, "15% of the shared films have another title"),
        (other_people, N // 10, "15% of the shared users have other demographics"),
        (other_layout, N // 2 - 1, "a whole catalogue in the csv layout, where the home has dat"),
    ],
)
def test_how_much_another_source_may_differ(
    home: Path, tmp_path: Path, other, welcome: int, reason: str
) -> None:  # type: ignore[no-untyped-def]
    before = catalog.read_items(home), catalog.read_users(home)
    with pytest.raises(AnotherDataset) as error:
        log.ingest(home, other(tmp_path / "foreign", welcome + 1))
    for part in ("foreign", "mine", reason, "MATINEE_HOME"):
        assert part in str(error.value)
    for held, now in zip(before, (catalog.read_items(home), catalog.read_users(home)), strict=True):
        assert now.equals(held)
    assert log.ingest(home, other(tmp_path / "own", welcome)).rows_logged == 1


def test_films_that_are_not_shared_say_nothing_about_the_data_set(home: Path, tmp_path: Path) -> None:
    new = {item: (f"New {item} (2001)", "War") for item in range(101, 201)}
    assert log.ingest(home, batches.dat(tmp_path / "more", [(1, 101, 5, 2)], new)).rows_logged == 1
    assert catalog.read_items(home)["item_id"].to_list() == [*FILMS, *new]


def test_ratings_alone_go_with_any_data_set(home: Path, tmp_path: Path) -> None:
    assert log.ingest(home, batches.csv(tmp_path / "day", [(1, 1, 5, 2)])).rows_logged == 1


def test_generated_ratings_are_never_mixed_with_others(home: Path, tmp_path: Path) -> None:
    with pytest.raises(AnotherDataset, match="never mixed"):
        log.ingest(home, "synthetic:0.005")

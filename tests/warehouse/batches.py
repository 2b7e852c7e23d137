"""Small sources, written by hand, in the MovieLens layouts."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from models.dataset import Dataset

Row = tuple[int, int, float, int]  # user, item, rating, epoch seconds

MOVIES = {
    1: ("Toy Story (1995)", "Animation|Children's|Comedy"),
    2: ("Jumanji (1995)", "Adventure"),
    3: ("Nikita (La Femme Nikita) (1990)", "Thriller"),
    4: ("Cité des enfants perdus, La (1995)", "Sci-Fi"),
}
USERS = {7: "F::1::10::48067", 8: "M::56::16::70072"}


def dat(
    folder: Path,
    ratings: Sequence[Row] | str,
    movies: Sequence[int] | dict[int, tuple[str, str]] | None = tuple(MOVIES),
    users: dict[int, str] | None = None,
) -> str:
    """A folder of ``::`` files; ``ratings`` as rows or as the text of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (
        ratings if isinstance(ratings, str) else "".join(f"{u}::{i}::{r:g}::{t}\n" for u, i, r, t in ratings)
    )
    (folder / "ratings.dat").write_text(text, encoding="latin-1")
    if movies is not None:
        named = movies if isinstance(movies, dict) else {item: MOVIES[item] for item in movies}
        lines = "".join(f"{item}::{title}::{genres}\n" for item, (title, genres) in named.items())
        (folder / "movies.dat").write_text(lines, encoding="latin-1")
    if users is not None:
        lines = "".join(f"{user}::{fields}\n" for user, fields in users.items())
        (folder / "users.dat").write_text(lines, encoding="latin-1")
    return str(folder)


def of_log(folder: Path, log: Dataset, n_people: int, films: dict[int, tuple[str, str]] | None = None) -> str:
    """The ratings of a log as ``::`` files, one of a film at a time; users.dat has the first users alone.

    ``films`` has titles and genres by id; by default all films are of the same genres.
    """
    once = {
        (user, item, at): (user + 1, item + 1, rating, at)
        for user, item, rating, at in zip(log.user_idx, log.item_idx, log.rating, log.at, strict=True)
    }
    films = films or {
        item + 1: (f"Film {item} ({1950 + item % 50})", "Drama|War") for item in range(log.n_items)
    }
    people = {user + 1: f"{'FM'[user % 2]}::25::1::12345" for user in range(n_people)}
    return dat(folder, list(once.values()), films, people)


def csv(folder: Path, ratings: Sequence[Row], movies: str | None = None) -> str:
    """A folder of CSV files, with the header of MovieLens."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in ratings)
    (folder / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n{lines}", encoding="utf-8")
    if movies is not None:
        (folder / "movies.csv").write_text(f"movieId,title,genres\n{movies}", encoding="utf-8")
    return str(folder)


def zipped(path: Path, folder: str, top: str = "") -> str:
    """The files of a folder in a zip, under the folder ``top`` if it is given."""
    with ZipFile(path, "w") as archive:
        for file in sorted(Path(folder).iterdir()):
            archive.write(file, f"{top}/{file.name}" if top else file.name)
    return str(path)

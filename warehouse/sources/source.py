"""Sources as people name them: a folder, a zip or a ratings file in the layouts of MovieLens or of KuaiRand,
``ml-1m`` (downloaded), or ``synthetic[:scale[:films]][,watch]``."""

import hashlib
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, TypeVar

import polars as pl

from warehouse.errors import MatineeError
from warehouse.sources import behaviour, download, movielens, movielens_100k
from warehouse.sources.contract import Digests, Layout, Source
from warehouse.sources.synthetic.data import RATING, Synthetic, as_lines

T = TypeVar("T")
Opened = TypeVar("Opened")

ENCRYPTED = 1
"""Flag of a member of a zip that needs a password."""

MAX_RATIO = 100
"""Times a member of a zip may grow: ratings grow to 4 to 10 times, zeros to 1,000."""

SMALL = 2**24
"""Bytes that a member may have in any case."""


@dataclass(frozen=True)
class File:
    """A file on disk, or a member of a zip, read as a stream either way."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        return Path(self.member or self.path).name

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes.

        Raises:
            MatineeError: the zip is cut off or damaged, or cannot be unpacked.
        """
        if self.member is None:
            with self.path.open("rb") as file:
                yield file
            return
        with _plain_errors(self.path), _headers_read(zipfile.ZipFile, self.path) as archive:
            _check_member(self.path, archive.getinfo(self.member))
            with _headers_read(archive.open, self.member) as file:
                yield file

    def sha256(self) -> str:
        """Digest of the (unpacked) bytes."""
        with self.open() as file:
            digest = hashlib.sha256()
            while block := file.read(2**20):
                digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True)
class Promised:
    """The promises of files beside a ratings file, so that half of one is not taken for a quiet night."""

    rows_from: File | None
    """``ratings.csv.rows``: the number of rows."""
    digest_from: File | None
    """``ratings.csv.sha256``: a line as ``sha256sum`` writes it."""

    def read_rows(self) -> int | None:
        """The promised rows.

        Raises:
            MatineeError: the file holds anything but a number.
        """
        if self.rows_from is None:
            return None
        text = next(iter(_beginning(self.rows_from).split()), "")
        if not re.fullmatch(r"\d{1,15}", text):
            raise MatineeError(f"{self.rows_from.path}: it must hold the number of rows, not {text!r}")
        return int(text)

    def check_digest(self, name: str, sha256: str) -> None:
        """Hold the bytes of the ratings file of that name against what is promised.

        Raises:
            MatineeError: they are others, or no digest can be read.
        """
        if self.digest_from is None:
            return
        if (found := re.search(r"\b[0-9a-fA-F]{64}\b", _beginning(self.digest_from))) is None:
            raise MatineeError(f"{self.digest_from.path}: it must hold a line as sha256sum writes it")
        if (promised := found[0].lower()) != sha256:
            raise MatineeError(
                f"{name} is not the file that {self.digest_from.name} promises (sha256 {sha256[:12]}..., "
                f"promised {promised[:12]}...); nothing was ingested: fetch both again"
            )


def _beginning(file: File) -> str:
    with file.open() as stream:
        return stream.read(1024).decode("utf-8-sig", "replace")


@dataclass(frozen=True)
class Reader:
    """How the files of a layout are called and read."""

    separator: str
    encoding: str
    items: Callable[[IO[bytes]], pl.DataFrame]
    users: Callable[[IO[bytes]], pl.DataFrame] | None
    names: tuple[str, str, str | None]
    """Those of the files of ratings, films and users."""


READERS: dict[Layout, Reader] = {
    "dat": Reader(
        *("::", "latin-1", movielens.read_items_dat, movielens.read_users_dat),
        names=("ratings.dat", "movies.dat", "users.dat"),
    ),
    "csv": Reader(*(",", "utf-8", movielens.read_items_csv, None), names=("ratings.csv", "movies.csv", None)),
    "tab": Reader(
        *("\t", "latin-1", movielens_100k.read_items, movielens_100k.read_users),
        names=("u.data", "u.item", "u.user"),
    ),
}
"""The layouts of MovieLens."""

LAYOUTS = {Path(reader.names[0]).suffix: layout for layout, reader in READERS.items()}
"""By how the name of a ratings file ends."""


@dataclass(frozen=True)
class Files:
    """A source of files in one of the layouts."""

    text: str
    dataset: str
    layout: Layout
    ratings_from: File
    movies_from: File | None
    users_from: File | None
    promised: Promised
    films_of_ratings: bool = False
    """Whether the films are those of the ratings where there is no movies file."""

    @property
    def ratings_file(self) -> str:
        """Name of the ratings file."""
        return self.ratings_from.name

    @property
    def is_generated(self) -> bool:
        """Files are taken for real."""
        return False

    @cached_property
    def digests(self) -> Digests:
        """Digests of the bytes of each file, whether zipped or not.

        Raises:
            MatineeError: that of the ratings is not the promised one, or a zip is damaged.
        """
        files = (self.ratings_from, self.movies_from, self.users_from)
        digests = Digests(*(file.sha256() if file else "" for file in files))
        self.promised.check_digest(self.ratings_file, digests.ratings)
        return digests

    @cached_property
    def promised_rows(self) -> int | None:
        """The number in the file beside the ratings file."""
        return self.promised.read_rows()

    def items(self) -> pl.DataFrame | None:
        """The movies file, parsed."""
        if self.movies_from is None:
            return movielens.items_of(self.ratings()) if self.films_of_ratings else None
        with self.movies_from.open() as file:
            if _is_videos(self.movies_from.name):
                return behaviour.read_videos(file)
            return READERS[self.layout].items(file)

    def users(self) -> pl.DataFrame | None:
        """The users file, parsed; the CSV layout has none."""
        read = READERS[self.layout].users
        if self.users_from is None or read is None:
            return None
        with self.users_from.open() as file:
            return read(file)

    def ratings(self) -> Iterator[pl.DataFrame]:
        """Blocks of the lines of the ratings file."""
        separator, encoding = READERS[self.layout].separator, READERS[self.layout].encoding
        with self.ratings_from.open() as file:
            if self.has_behaviour:
                yield from behaviour.read_rows(file)
            else:
                yield from movielens.read_ratings(file, separator, encoding)

    @cached_property
    def has_behaviour(self) -> bool:
        """Whether the header names columns of behaviour."""
        if self.layout != "csv":
            return False
        with self.ratings_from.open() as file:
            return bool(behaviour.columns(movielens.read_header(file, "utf-8")))


@dataclass(frozen=True)
class Generated:
    """A source that is made up on the way."""

    text: str
    generator: Synthetic
    layout: Layout = "dat"
    ratings_file: str = "ratings.dat"
    is_generated: bool = True
    promised_rows: None = None

    @property
    def dataset(self) -> str:
        """The source as it is always written."""
        return self.generator.name

    @property
    def has_behaviour(self) -> bool:
        """Whether people are seen to watch."""
        return self.generator.watch

    @property
    def digests(self) -> Digests:
        """Digests of what decides the bytes, which need not be generated for that."""
        recipe = self.generator.recipe
        return Digests(
            *(
                hashlib.sha256(f"{part} {recipe}".encode()).hexdigest()
                for part in ("ratings", "movies", "users")
            )
        )

    def items(self) -> pl.DataFrame:
        """All films."""
        return self.generator.items()

    def users(self) -> pl.DataFrame:
        """All users."""
        return self.generator.users()

    def ratings(self) -> Iterator[pl.DataFrame]:
        """All ratings, chunk by chunk."""
        lines = 0
        for chunk in self.generator.ratings():
            line = pl.int_range(lines + 1, lines + chunk.height + 1, dtype=pl.Int64)
            raw = as_lines(chunk.select(RATING))
            yield chunk.select(line.alias("line"), raw.alias("raw"), pl.all())
            lines += chunk.height


def with_films(source: Source) -> Source:
    """The source, which without a movies file takes the films of its ratings for all that there are."""
    return replace(source, films_of_ratings=True) if isinstance(source, Files) else source


def resolve(source: str) -> Source:
    """The source that a person means.

    Raises:
        MatineeError: nothing there, or not what Matinee can read; the message says what it looked for.
    """
    made_up, comma, extra = source.partition(",")
    name, *numbers = made_up.split(":")
    if name == "synthetic":
        if comma and extra != "watch":
            raise MatineeError(f"{source}: after the comma there is one word, watch: {made_up},watch")
        return Generated(source, _synthetic(source, bool(comma), *numbers))
    if source == "ml-1m":
        return _zip(source, download.movielens_1m())
    path = Path(source).expanduser()
    if not path.exists():
        raise MatineeError(
            f"{source}: no such file or folder; give a folder, zip or ratings file in the layout of "
            "MovieLens or KuaiRand, ml-1m, or synthetic[:scale[:films]][,watch]"
        )
    if path.is_dir():
        return _folder(source, path)
    if not path.is_file():
        raise MatineeError(f"{source}: a pipe or a device, which cannot be read twice; write it to a file")
    return _zip(source, path) if path.suffix.lower() == ".zip" else _single(source, path)


def _synthetic(source: str, watch: bool, scale: str = "", films: str | None = None, *more: str) -> Synthetic:
    try:
        factor = float(scale or 1)
    except ValueError as error:
        raise MatineeError(f"{source}: the scale must be a number, for example synthetic:0.1") from error
    if more or (films is not None and not films.isdecimal()):
        raise MatineeError(f"{source}: the films must be an integer, for example synthetic:0.1:9742")
    return Synthetic(factor, films=None if films is None else int(films), watch=watch)


def _folder(source: str, folder: Path) -> Files:
    names = {path.name: File(path) for path in folder.iterdir() if path.is_file()}
    return _siblings(source, folder.resolve().name, names)


def _zip(source: str, path: Path) -> Files:
    with _plain_errors(path), _headers_read(zipfile.ZipFile, path) as archive:
        members = [member for member in archive.namelist() if not member.startswith("__MACOSX/")]
    # The files lie at the top or under one folder.
    folders = {member.rpartition("/")[0] for member in members if _is_ratings(member.rpartition("/")[2])}
    if len(folders) > 1:
        raise MatineeError(
            f"{path}: ratings in several folders ({', '.join(sorted(folders))}); unpack it and name one"
        )
    folder = folders.pop() if folders else ""
    names = {
        member.rpartition("/")[2]: File(path, member)
        for member in members
        if member.rpartition("/")[0] == folder and not member.endswith("/")
    }
    return _siblings(source, folder.rpartition("/")[2] or path.stem, names)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Errors of a zip as one line."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise MatineeError(f"{path}: a damaged zip ({error}); fetch it again") from error
    except NotImplementedError as error:
        raise MatineeError(f"{path}: {error}; unpack it and name the folder") from error


def _headers_read(opening: Callable[[T], Opened], file: T) -> Opened:
    """The opened file; a header of a damaged zip may have a name that is no text, or a size below 0."""
    try:
        return opening(file)
    except (ValueError, struct.error) as error:
        raise zipfile.BadZipFile(f"the header of {file} is broken") from error


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    """Refuse, before it is unpacked, what cannot be or what fills memory and disk.

    Raises:
        MatineeError: it needs a password, or it is a zip bomb.
    """
    if member.flag_bits & ENCRYPTED:
        raise MatineeError(f"{path}: {member.filename} is encrypted; unpack it and name the folder")
    if member.file_size > max(MAX_RATIO * member.compress_size, SMALL):
        raise MatineeError(
            f"{path}: {member.filename} has {member.file_size:,} bytes in {member.compress_size:,}, "
            "as no ratings do; unpack it and name the folder if it is to be read all the same"
        )


def _single(source: str, path: Path) -> Files:
    suffix = path.suffix.lower()
    if suffix not in LAYOUTS or path.stem in ("movies", "users"):
        raise MatineeError(
            f"{source}: not a ratings file; give ratings.dat, ratings.csv, u.data, or their folder or zip"
        )
    folder = path.resolve().parent
    beside = {other.name: File(other) for other in folder.iterdir() if other.is_file()}
    return _files(source, folder.name, File(path), beside)


def _files(source: str, dataset: str, ratings: File, beside: dict[str, File]) -> Files:
    """A ratings file with the catalogue, and what is promised of it, in the files beside it."""
    promised = Promised(beside.get(f"{ratings.name}.rows"), beside.get(f"{ratings.name}.sha256"))
    layout = LAYOUTS[Path(ratings.name).suffix.lower()]
    _, movies_name, users_name = READERS[layout].names
    movies, users = beside.get(movies_name), beside.get(users_name or "")
    if layout == "csv" and movies is None:
        movies = next((file for name, file in sorted(beside.items()) if _is_videos(name)), None)
    return Files(source, dataset, layout, ratings, movies, users, promised)


def _is_ratings(name: str) -> bool:
    return (
        name in (reader.names[0] for reader in READERS.values())
        or re.fullmatch(r"log_.*\.csv", name) is not None
    )


def _is_videos(name: str) -> bool:
    return re.fullmatch(r"video_features_basic.*\.csv", name) is not None


def _siblings(source: str, dataset: str, names: dict[str, File]) -> Files:
    found = sorted(filter(_is_ratings, names))
    if not found:
        raise MatineeError(
            f"{source}: no ratings.dat, ratings.csv, u.data or log_*.csv in it; "
            "movies and users files are optional"
        )
    if len(found) > 1:
        both = "both " * (len(found) == 2) + " and ".join(found)
        raise MatineeError(f"{source}: {both} in it; name the one that is meant")
    return _files(source, dataset, names[found[0]], names)

"""Sources that would hang, fill the memory or end in a traceback: each is one line."""

import os
import struct
import zipfile
from pathlib import Path

import pytest

from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.events import catalog
from warehouse.events.log import ingest
from warehouse.sources import movielens, source

ROWS = [(7, 1, 4.0, 1_000_000_000)]


def changed(path: Path, folder: str, flag: int | None = None, method: int | None = None) -> str:
    """A zip of a folder whose members say that they are encrypted, or packed by another method."""
    text = bytearray(Path(batches.zipped(path, folder)).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = text.find(signature)
        while at >= 0:
            if flag is not None:
                struct.pack_into("<H", text, at + offset, flag)
            if method is not None:
                struct.pack_into("<H", text, at + offset + 2, method)
            at = text.find(signature, at + 1)
    path.write_bytes(text)
    return str(path)


def test_an_encrypted_zip(tmp_path: Path) -> None:
    named = changed(tmp_path / "a.zip", batches.dat(tmp_path / "a", ROWS), flag=1)
    with pytest.raises(MatineeError, match=r"ratings.dat is encrypted; unpack it and name the folder"):
        ingest(tmp_path / "home", named)


def test_a_zip_that_is_packed_by_an_unknown_method(tmp_path: Path) -> None:
    named = changed(tmp_path / "a.zip", batches.dat(tmp_path / "a", ROWS), method=97)
    with pytest.raises(MatineeError, match="unpack it and name the folder"):
        ingest(tmp_path / "home", named)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    for name in ("ratings.dat", "movies.dat"):
        files = {"ratings.dat": b"7::1::4::1000000000\n", name: b"0" * (source.SMALL + 1)}
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for member, text in files.items():
                archive.writestr(member, text)
        with pytest.raises(MatineeError, match=f"{name} has .* bytes in .*as no ratings do"):
            ingest(tmp_path / "home", str(tmp_path / "a.zip"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ratings.dat")
    for named in (tmp_path / "ratings.dat", Path("/dev/zero")):
        with pytest.raises(MatineeError, match="a pipe or a device"):
            ingest(tmp_path / "home", str(named))
    with pytest.raises(MatineeError, match=r"no ratings.dat"):
        ingest(tmp_path / "home", str(tmp_path))


def test_a_line_without_an_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movielens, "BLOCK", 100)
    monkeypatch.setattr(movielens, "MAX_LINE", 100)
    named = batches.dat(tmp_path / "a", "7::1::4::1000000000\n" + "0" * 1000)
    with pytest.raises(MatineeError, match="a line is longer than 100 bytes"):
        ingest(tmp_path / "home", named)


def test_films_beyond_all_measure_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movielens, "MAX_CATALOG", 100)
    for named in (batches.dat(tmp_path / "a", ROWS), batches.csv(tmp_path / "b", ROWS, "1,A,B\n" * 50)):
        with pytest.raises(MatineeError, match="more than 100 bytes"):
            ingest(tmp_path / "home", named)


def test_a_year_in_other_digits_is_none(tmp_path: Path) -> None:
    films = "1,Film (١٩٩٥),Drama\n2,Film (1995),Drama\n"
    ingest(tmp_path / "home", batches.csv(tmp_path / "a", ROWS, films))
    assert catalog.read_items(tmp_path / "home")["year"].to_list() == [None, 1995]

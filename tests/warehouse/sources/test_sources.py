"""Every layout in which MovieLens comes, and what is wrong with the others."""

import hashlib
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.events import log as event_log
from warehouse.sources import source as sources
from warehouse.sources.movielens import USERS

ROWS = [(7, 1, 5, 978300760), (7, 4, 3, 978300760), (8, 2, 1, 978302109)]


def ratings(source: str) -> pl.DataFrame:
    return pl.concat(sources.resolve(source).ratings())


def rows(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return frame.select("user_id", "item_id", "rating", "timestamp").rows()


def test_dat_folder(tmp_path: Path) -> None:
    source = sources.resolve(batches.dat(tmp_path / "ml-1m", ROWS, users=batches.USERS))
    assert source.dataset == "ml-1m"
    frame = pl.concat(source.ratings())
    assert rows(frame) == ROWS
    assert frame["line"].to_list() == [1, 2, 3]
    assert frame["raw"][2] == "8::2::1::978302109"
    items, users = source.items(), source.users()
    assert items is not None
    assert users is not None
    # As in the file, accents too; the year is the last parenthesis, not the first.
    assert items.row(2) == (3, "Nikita (La Femme Nikita) (1990)", 1990, ["Thriller"])
    assert items.row(3)[1:3] == ("Cité des enfants perdus, La (1995)", 1995)
    assert items["genres"][0].to_list() == ["Animation", "Children's", "Comedy"]
    assert users.rows() == [(7, "F", 1, 10, "48067"), (8, "M", 56, 16, "70072")]


def test_csv_folder(tmp_path: Path) -> None:
    movies = (
        '1,"Cité, La (1995)",Drama|War\n'
        '2,"Say ""Hi"" ",(no genres listed)\n'
        "3,Babylon 5,Sci-Fi\n"
        "4,Lost (Perdus) (2004) ,\n"
        "5,,Drama\n"
    )
    source = sources.resolve(batches.csv(tmp_path / "ml-latest", [(1, 2, 4.5, 10), (1, 3, 0.5, 11)], movies))
    frame = pl.concat(source.ratings())
    assert rows(frame) == [(1, 2, 4.5, 10), (1, 3, 0.5, 11)]
    assert frame["line"].to_list() == [2, 3]  # the header is line 1
    items = source.items()
    assert items is not None
    assert items.rows() == [
        (1, "Cité, La (1995)", 1995, ["Drama", "War"]),
        (2, 'Say "Hi"', None, []),
        (3, "Babylon 5", None, ["Sci-Fi"]),
        (4, "Lost (Perdus) (2004)", 2004, []),
        (5, "Item 5", None, ["Drama"]),
    ]
    assert source.users() is None


def test_tab_folder(tmp_path: Path) -> None:
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.data").write_text("".join("\t".join(map(str, row)) + "\n" for row in ROWS))
    flags = ["|".join("1" if number in on else "0" for number in range(19)) for on in ({3, 4, 5}, {0}, set())]
    (folder / "u.item").write_bytes(
        f"1|Toy Story (1995)|01-Jan-1995||http://a/M/title-exact?Toy%20Story%20(1995)|{flags[0]}\n"
        f"2|Cité des enfants perdus, La (1995)|01-Jan-1995|||{flags[1]}\n"
        f"4|unknown||||{flags[2]}\n".encode("latin-1")
    )
    (folder / "u.user").write_text(
        "7|24|M|technician|85711\n8|7|F|librarian|94043\n9|56|M|astronaut|T8H1N\n10|?|F|none|1\n11|44|F|doctor|2\n"
    )
    (folder / "u1.base").write_text("a part of the ratings\n")
    source = sources.resolve(str(folder))
    assert (source.dataset, source.ratings_file, source.layout) == ("ml-100k", "u.data", "tab")
    assert not source.has_behaviour
    assert rows(pl.concat(source.ratings())) == ROWS
    items, users = source.items(), source.users()
    assert items is not None
    assert users is not None
    assert items.rows() == [
        (1, "Toy Story (1995)", 1995, ["Animation", "Children's", "Comedy"]),
        (2, "Cité des enfants perdus, La (1995)", 1995, []),
        (4, "unknown", None, []),
    ]
    # The groups and codes of MovieLens 1M.
    assert users.rows() == [
        (7, "M", 18, 17, "85711"),
        (8, "F", 1, 0, "94043"),
        (9, "M", 56, None, "T8H1N"),
        (10, "F", None, 19, "1"),
        (11, "F", 35, 6, "2"),
    ]
    assert users.schema == USERS
    assert rows(ratings(str(folder / "u.data"))) == ROWS
    log = event_log.ingest(
        tmp_path / "home", batches.zipped(tmp_path / "ml-100k.zip", str(folder), "ml-100k")
    )
    assert (log.rows_logged, log.quarantined) == (3, {})


@pytest.mark.parametrize("top", ["", "ml-1m", "a/b"])
def test_zip_is_the_same_batch_as_its_folder(tmp_path: Path, top: str) -> None:
    folder = batches.dat(tmp_path / "ml-1m", ROWS, users=batches.USERS)
    archive = batches.zipped(tmp_path / "download.zip", folder, top)
    zipped, plain = sources.resolve(archive), sources.resolve(folder)
    assert zipped.digests == plain.digests
    assert rows(ratings(archive)) == ROWS
    assert zipped.dataset == {"": "download", "ml-1m": "ml-1m", "a/b": "b"}[top]
    items = zipped.items()
    assert items is not None
    assert items.equals(plain.items())


def test_ratings_file_takes_its_siblings_along(tmp_path: Path) -> None:
    folder = Path(batches.dat(tmp_path / "day", ROWS, users=batches.USERS))
    assert sources.resolve(str(folder / "ratings.dat")).digests == sources.resolve(str(folder)).digests
    alone = tmp_path / "monday.dat"
    (folder / "ratings.dat").rename(alone)
    source = sources.resolve(str(alone))
    assert source.items() is None
    assert source.users() is None
    assert rows(ratings(str(alone))) == ROWS


@pytest.mark.parametrize(
    ("text", "raws"),
    [
        ("1::2::3::4", ["1::2::3::4"]),  # no newline at the end
        ("1::2::3::4\r\n1::3::3::4\r\n", ["1::2::3::4", "1::3::3::4"]),
        ("1::2::3::4\n\n1::3::3::4\n", ["1::2::3::4", "", "1::3::3::4"]),
        ('"1::2::3::4\n1::3::3::4"\n', ['"1::2::3::4', '1::3::3::4"']),  # a quote means nothing here
        ("caf\xe9::2::3::4\n", ["caf\xe9::2::3::4"]),
    ],
)
def test_lines_are_counted_as_an_editor_does(tmp_path: Path, text: str, raws: list[str]) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "ratings.dat").write_bytes(text.encode("latin-1"))
    frame = ratings(str(folder))
    assert frame["raw"].to_list() == raws
    assert frame["line"].to_list() == list(range(1, len(raws) + 1))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_titles_of_either_encoding(tmp_path: Path, encoding: str) -> None:
    source = batches.dat(tmp_path / "x", [(1, 1, 5, 77)])
    (Path(source) / "movies.dat").write_bytes("1::Misérables, Les (1995)::Drama\n".encode(encoding))
    items = sources.resolve(source).items()
    assert items is not None
    assert items["title"].to_list() == ["Misérables, Les (1995)"]


@pytest.mark.parametrize(
    "line", ["1::2::3", "1::2::3::4::5", "a::2::3::4", "1::2::three::4", "1::2::3::", "1,2,3,4"]
)
def test_what_is_no_rating_has_no_values(tmp_path: Path, line: str) -> None:
    frame = ratings(batches.dat(tmp_path / "x", f"{line}\n9::1::5::77\n"))
    assert None in frame.row(0)
    assert rows(frame)[1] == (9, 1, 5, 77)


def test_blocks_keep_lines_whole_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(user, 1 + user % 4, 1 + user % 5, 10**9 + user) for user in range(1, 500)]
    source = batches.dat(tmp_path / "x", many)
    monkeypatch.setattr("warehouse.sources.movielens.BLOCK", 100)
    assert sum(1 for _ in sources.resolve(source).ratings()) > 50
    assert rows(ratings(source)) == many
    assert ratings(source)["line"].to_list() == list(range(1, 500))


def test_wrong_lines_of_a_catalogue_are_left_out_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(batches.dat(tmp_path / "x", ROWS))
    (folder / "movies.dat").write_text("1::A (1999)::Drama\nnonsense\nx::B::War\n1::Again::War\n")
    items = sources.resolve(str(folder)).items()
    assert items is not None
    assert items.rows() == [(1, "A (1999)", 1999, ["Drama"])]
    assert "line 2" in caplog.text


def test_synthetic() -> None:
    source = sources.resolve("synthetic:0.01")
    assert source.dataset == "synthetic:0.01"
    assert source.digests == sources.resolve("synthetic:0.010").digests
    assert source.digests != sources.resolve("synthetic:0.02").digests
    frame = pl.concat(source.ratings())
    assert frame["line"].to_list() == list(range(1, frame.height + 1))
    first = frame.row(0, named=True)
    expected = f"{first['user_id']}::{first['item_id']}::{first['rating']:.0f}::{first['timestamp']}"
    assert first["raw"] == expected
    assert datetime(2000, 4, 1) < datetime.fromtimestamp(first["timestamp"]) < datetime(2003, 3, 2)


def test_synthetic_with_films_is_another_data_set(tmp_path: Path) -> None:
    source, without = sources.resolve("synthetic:0.01:300"), sources.resolve("synthetic:0.01")
    assert source.dataset == sources.resolve("synthetic:0.010:0300").dataset == "synthetic:0.01:300"
    assert sources.resolve("synthetic::300").dataset == "synthetic:1:300"
    assert source.digests != without.digests
    assert source.digests != sources.resolve("synthetic:0.01:301").digests
    items = source.items()
    assert items is not None
    assert items.height == 300
    event_log.ingest(tmp_path, "synthetic:0.01")
    with pytest.raises(MatineeError, match=r"synthetic:0\.01"):
        event_log.ingest(tmp_path, "synthetic:0.01:300")


def test_synthetic_batches_stay_known() -> None:
    """Homes know what they have ingested by its digests."""
    assert sources.resolve("synthetic").digests.ratings.startswith("765dde4a4090")


@pytest.mark.parametrize(
    "films", ["", "199", "-300", "300.0", "3e2", "many", "1000001", "300:", "300:400", "0"]
)
def test_films_must_be_a_sensible_integer(films: str) -> None:
    with pytest.raises(MatineeError, match=r"^[^\n]*films[^\n]*integer[^\n]*$"):
        sources.resolve(f"synthetic:0.01:{films}")


@pytest.mark.parametrize(
    "source", ["synthetic:0", "synthetic:-1", "synthetic:big", "synthetic:1e9", "synthetic:nan"]
)
def test_scale_must_be_a_sensible_number(source: str) -> None:
    with pytest.raises(MatineeError, match="scale"):
        sources.resolve(source)


def test_sources_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    with pytest.raises(MatineeError, match="no such file"):
        sources.resolve(str(tmp_path / "nowhere"))
    with pytest.raises(MatineeError, match=r"no ratings\.dat"):
        sources.resolve(str(folder))
    batches.dat(folder, ROWS)
    with pytest.raises(MatineeError, match="not a ratings file"):
        sources.resolve(str(folder / "movies.dat"))
    batches.csv(folder, [])
    with pytest.raises(MatineeError, match="both"):
        sources.resolve(str(folder))


def test_wrong_headers_are_reported(tmp_path: Path) -> None:
    folder = Path(batches.csv(tmp_path / "x", [(1, 2, 3, 4)], "1,A,B\n"))
    (folder / "ratings.csv").write_text("1,2,3,4\n")
    with pytest.raises(MatineeError, match="expected the header"):
        ratings(str(folder))
    (folder / "movies.csv").write_text("1,A,B\n")
    with pytest.raises(MatineeError, match="expected movieId"):
        sources.resolve(str(folder)).items()


def test_damaged_zips_are_reported(tmp_path: Path) -> None:
    many = [(user, 1, 5, 10**9 + user) for user in range(1, 3000)]
    archive = Path(batches.zipped(tmp_path / "x.zip", batches.dat(tmp_path / "x", many)))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MatineeError, match="damaged zip"):
        sources.resolve(str(archive))
    # The table of contents is right, the bytes are not.
    archive.write_bytes(whole.replace(b"::1000001500\n", b"::1000009500\n"))
    with pytest.raises(MatineeError, match="damaged zip"):
        ratings(str(archive))


@pytest.mark.parametrize(("header", "flags", "name"), [(b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)])
def test_a_zip_with_a_name_that_is_no_text_is_damaged(
    header: bytes, flags: int, name: int, tmp_path: Path
) -> None:
    archive = Path(batches.zipped(tmp_path / "x.zip", batches.dat(tmp_path / "x", [(1, 1, 5, 10**9)])))
    broken = bytearray(archive.read_bytes())
    start = broken.index(b"ratings.dat", broken.index(header)) - name
    broken[start + flags + 1] |= 0x08  # the name is UTF-8
    broken[start + name] = 0xF7
    archive.write_bytes(broken)
    with pytest.raises(MatineeError, match="damaged zip"):
        ratings(str(archive))


@pytest.mark.parametrize(
    ("beside", "text", "message"),
    [
        ("rows", "4\n", "3 ratings in ratings.dat, where ratings.dat.rows promises 4"),
        ("rows", "three", "it must hold the number of rows, not 'three'"),
        ("sha256", f"{'0' * 64}  ratings.dat\n", "is not the file that ratings.dat.sha256 promises"),
        ("sha256", "", "it must hold a line as sha256sum writes it"),
    ],
)
def test_a_ratings_file_that_is_not_what_was_promised_changes_nothing(
    tmp_path: Path, beside: str, text: str, message: str
) -> None:
    folder = Path(batches.dat(tmp_path / "day", ROWS))
    (folder / f"ratings.dat.{beside}").write_text(text)
    zipped = batches.zipped(tmp_path / "day.zip", str(folder))
    for source in (str(folder), str(folder / "ratings.dat"), zipped):
        with pytest.raises(MatineeError, match=message):
            event_log.ingest(tmp_path / "home", source)
    assert event_log.batches(tmp_path / "home") == []


def test_a_ratings_file_that_is_what_was_promised_is_ingested(tmp_path: Path) -> None:
    movies = "2,A,Drama\n3,B,Drama\n"
    folder = Path(batches.csv(tmp_path / "day", [(1, 2, 4.5, 10), (1, 3, 0.5, 11)], movies))
    digest = hashlib.sha256((folder / "ratings.csv").read_bytes()).hexdigest()
    (folder / "ratings.csv.rows").write_text("2\n")  # without the header
    (folder / "ratings.csv.sha256").write_text(f"{digest.upper()} *ratings.csv\n")
    assert event_log.ingest(tmp_path / "home", str(folder)).rows_logged == 2
    (folder / "ratings.csv.sha256").write_text(f"SHA256 (ratings.csv) = {digest}\n")  # with --tag
    assert event_log.ingest(tmp_path / "home", str(folder)).status == "known"
    (folder / "ratings.csv.rows").write_text("3\n")  # of the next day, whose ratings did not come
    with pytest.raises(MatineeError, match=r"2 ratings in ratings\.csv, where ratings\.csv\.rows promises 3"):
        event_log.ingest(tmp_path / "home", str(folder))


def test_a_time_that_is_cut_off_is_no_time_of_1970(tmp_path: Path) -> None:
    whole = "".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in ROWS)
    for ending, times in (
        ("", [978300760, 978300760, 978302109]),  # nothing but the end of the line is missing
        ("\n8::1::4::97830", [978300760, 978300760, 978302109, None]),
        ("\n8::1::4::97830\n", [978300760, 978300760, 978302109, 97830]),
        ("\n8::2::4::0\n8::1::4::97830", [978300760, 978300760, 978302109, 0, None]),
    ):
        source = batches.dat(tmp_path / "cut", whole.removesuffix("\n") + ending)
        assert ratings(source)["timestamp"].to_list() == times

"""Copies of a release: Parquet files, and tables of a real PostgreSQL server."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests import home as homes
from warehouse import sql
from warehouse.errors import MatineeError
from warehouse.releases import export, serving


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = homes.write_home(tmp_path_factory.mktemp("export"))
    homes.publish(home)
    return serving.current_file(home)


def rows_of(release: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(release), read_only=True) as con:
        return con.execute(query).fetchall()


def test_a_folder_has_a_file_a_table_which_is_replaced(release: Path, tmp_path: Path) -> None:
    for _ in range(2):
        tables = export.to_folder(release, tmp_path / "copy")
    assert {file.stem for file in (tmp_path / "copy").iterdir()} == set(tables)
    frame = pl.read_parquet(tmp_path / "copy" / "recommendations.parquet")
    assert frame.rows() == rows_of(release, "from recommendations")
    assert tables["recommendations"] == frame.height


def test_a_file_is_no_folder(release: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("x")
    with pytest.raises(MatineeError, match="is a file: name a folder"):
        export.to_folder(release, tmp_path / "copy")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty database on a server of this machine."""
    if not shutil.which("initdb") or not shutil.which("postgres"):
        pytest.skip("no PostgreSQL is installed")
    pytest.importorskip("adbc_driver_postgresql")
    # The server refuses to run as root.
    user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="matinee-pg-") as folder:
        os.chmod(folder, 0o755)
        if os.getuid() == 0:
            shutil.chown(folder, user)
        as_user = {"user": user} if os.getuid() == 0 else {}
        data = f"{folder}/data"
        words = ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, **as_user)
        options = ["-c", "listen_addresses=", "-c", "fsync=off"]
        server = subprocess.Popen(
            ["postgres", "-D", data, "-k", folder, *options], stderr=subprocess.DEVNULL, **as_user
        )
        try:
            while not Path(folder, ".s.PGSQL.5432").exists():
                assert server.poll() is None
                time.sleep(0.05)
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            server.terminate()
            server.wait()


def test_tables_of_a_database_are_replaced_in_one_transaction(release: Path, database: str) -> None:
    from adbc_driver_postgresql import dbapi

    tables = export.to_postgresql(release, database)
    with dbapi.connect(database) as reader, reader.cursor() as cursor:

        def ask(query: str) -> list[tuple]:
            cursor.execute(query)
            found: list[tuple] = cursor.fetchall()
            return found

        whole = "select user_id, rank, title, channels, release_id from {} order by user_id, rank"
        mine = ask(whole.format("matinee.recommendations"))
        assert mine == rows_of(release, whole.format("recommendations"))
        meaning = ask("select obj_description('matinee.recommendations'::regclass)")
        assert meaning[0][0].startswith("The films for each user")
        # A view of the users of the database outlives the next copy, and rows are not added twice.
        ask_of_view = "select count(*) from of_mine"
        cursor.execute("create view of_mine as select * from matinee.recommendations")
        reader.commit()
        assert export.to_postgresql(release, database) == tables
        assert ask(ask_of_view) == [(tables["recommendations"],)]
        reader.commit()


def test_a_failed_copy_changes_nothing(release: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from adbc_driver_postgresql import dbapi

    tables = export.to_postgresql(release, database)

    monkeypatch.setattr(export.sql, "tables", lambda con: [*sorted(tables)[:-1], "no_such_table"])
    with pytest.raises(duckdb.Error):
        export.to_postgresql(release, database)
    with dbapi.connect(database) as reader, reader.cursor() as cursor:
        cursor.execute("select count(*) from matinee.recommendations")
        assert cursor.fetchall() == [(tables["recommendations"],)]


def test_a_database_that_is_not_there_is_a_line_without_the_password(release: Path) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    with pytest.raises(MatineeError, match=r"^postgresql:///films: .*") as raised:
        export.to_postgresql(release, "postgresql://me:secret@/films?host=/nowhere")
    assert "secret" not in str(raised.value)


def test_every_table_and_column_says_what_it_means(release: Path) -> None:
    mute = """
        select table_name, '' from duckdb_tables() where coalesce(comment, '') = ''
        union all
        select table_name, column_name from duckdb_columns()
        where not internal and coalesce(comment, '') = ''
    """
    assert rows_of(release, mute) == []


def test_people_ask_by_macros(release: Path) -> None:
    listed = rows_of(release, "select rank, item_id, title from recommend(1, 3)")
    first = "select rank, item_id, title from recommendations where user_id = 1 and rank <= 3"
    assert listed == sorted(rows_of(release, first))
    assert rows_of(release, "from similar(10, 'ease', 5)") == []
    because = rows_of(release, f"select rank, title from because(1, {listed[0][1]})")
    assert because == [(1, listed[0][2])]


def test_names_and_texts_are_quoted() -> None:
    table, column = 'a"; drop', 'b"'
    with duckdb.connect() as con:
        con.execute(f"create table {sql.quoted(table)} ({sql.quoted(column)} int)")
        con.execute(sql.comment(table, column, "it's"))
        comments = con.execute("select comment from duckdb_columns() where not internal").fetchall()
    assert comments == [("it's",)]

"""The notebook over what is published."""

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb

from tests import home as homes
from warehouse import explore


def test_every_cell_of_the_notebook_answers(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.write_home(home)
    homes.publish(home)
    file, page = home / "serving" / "current.duckdb", tmp_path / "page.html"
    notebook = shutil.copy(explore.__file__, tmp_path)  # marimo leaves a folder beside it
    export = [sys.executable, "-m", "marimo", "export", "html", notebook, "-o", str(page)]
    done = subprocess.run([*export, "--", "--file", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(file), read_only=True) as con:
        titles = con.sql("select distinct title from recommendations where rank = 1").fetchall()
    assert any(title in page.read_text() for (title,) in titles)

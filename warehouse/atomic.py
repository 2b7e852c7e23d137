"""Files that appear whole or not at all: how everything under a home is written.

Everything is first written under a hidden temporary name in its own folder, where no ``*.parquet`` pattern
sees it; a commit then makes all of it durable and moves it into place. A file is replaced, never written
into: whoever has the old one open, or shares it by a hard link, keeps it as it is.
"""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4


class Staging:
    """A set of files written together. Whatever is not committed is removed on leaving the context."""

    def __init__(self) -> None:
        self._files: dict[Path, Path] = {}  # temporary: final, in the order of their commit
        self._mark = uuid4().hex[:8]  # tells its files from those of another writer at the same time

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for temporary in self._files:
            _remove(temporary)

    def path(self, final: Path) -> Path:
        """The temporary path under which to write ``final``."""
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._temporary(final)
        self._files[temporary] = final
        return temporary

    def discard(self, final: Path) -> None:
        """Take back a staged file."""
        temporary = self._temporary(final)
        _remove(temporary)
        del self._files[temporary]

    def commit(self) -> None:
        """Move every file into place, in the order they were staged.

        All bytes are on the disk before the first file moves, so a full disk is met while nothing shows.
        """
        for temporary in self._files:
            _fsync(temporary)
        for temporary, final in self._files.items():
            os.replace(temporary, final)
        for folder in {final.parent for final in self._files.values()}:
            _fsync(folder)
        self._files.clear()

    def _temporary(self, final: Path) -> Path:
        return final.with_name(f".{final.name}.{self._mark}.tmp")


@contextmanager
def replacing(final: Path) -> Iterator[Path]:
    """The temporary path of a single file, committed on leaving without an error."""
    with Staging() as staging:
        yield staging.path(final)
        staging.commit()


def write_text(path: Path, text: str) -> None:
    """Write a small text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def point(link: Path, target: str) -> None:
    """Make a symbolic link lead to another file: who opens it finds the old target or the new one.

    Raises:
        FileNotFoundError: there is no such target beside the link.
    """
    with replacing(link) as temporary:
        temporary.symlink_to(target)


def append_line(path: Path, line: str) -> None:
    """Append a line to a text file, once what a killed writer left behind the last whole line is cut off."""
    with path.open("a+b") as stream:
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
        stream.write(f"{line}\n".encode())
    _fsync(path)
    _fsync(path.parent)


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file that ``append_line`` wrote; none where there is no file."""
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] if path.exists() else []


def sweep(folder: Path) -> None:
    """Delete the temporary files of a writer that was killed. The caller holds the writers' lock."""
    for leftover in folder.glob(".*.tmp*"):
        _delete(leftover)


def _remove(temporary: Path) -> None:
    """Delete a temporary file and what its writer put beside it, such as the log of a database."""
    for file in temporary.parent.glob(f"{glob.escape(temporary.name)}*"):
        _delete(file)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

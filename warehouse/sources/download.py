"""MovieLens 1M from GroupLens: downloaded once, resumed where it broke off, checked, cached."""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import httpx
from filelock import FileLock
from platformdirs import user_cache_path

from warehouse.errors import MatineeError, Unreachable

LOGGER = logging.getLogger("matinee")

URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
MD5 = "c4d9eecfca2ab87c1945afe126590906"
TIMEOUT = 20.0
"""Seconds without any answer."""

Progress = Callable[[int, int], None]
"""Called with the bytes there are and the bytes there will be (0 if the server does not say)."""


def movielens_1m(
    url: str = URL, md5: str = MD5, folder: Path | None = None, progress: Progress | None = None
) -> Path:
    """The zip of MovieLens 1M in the cache (``MATINEE_CACHE``, else the user's cache folder).

    Raises:
        Unreachable: no network, or it broke off; what arrived is kept for the next attempt.
        MatineeError: what arrived is not MovieLens 1M, and was removed; or the cache cannot be written.
    """
    folder = folder or cache_folder()
    target = folder / "ml-1m.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.exists() or _md5(target) != md5:
                _download(url, md5, target, progress or _log_progress())
    except OSError as error:
        raise MatineeError(f"{folder} cannot be written ({error}): set MATINEE_CACHE to a folder") from error
    return target


def cache_folder() -> Path:
    """Where downloads are kept."""
    chosen = os.environ.get("MATINEE_CACHE")
    return Path(chosen) if chosen else user_cache_path("matinee")


def _download(url: str, md5: str, target: Path, progress: Progress) -> None:
    part = target.with_suffix(".zip.part")
    try:
        _fetch(url, part, progress)
    except httpx.HTTPError as error:
        raise Unreachable(_no_network(url, part, error)) from error
    if _md5(part) != md5:
        part.unlink()
        raise MatineeError(
            f"{url} is not MovieLens 1M (its md5 is not {md5}) and was removed: try again, "
            "or set MATINEE_SOURCE to a folder that has it"
        )
    os.replace(part, target)


def _fetch(url: str, part: Path, progress: Progress) -> None:
    """Append to ``part`` what it lacks of the file at ``url``."""
    there = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={there}-"} if there else {}
    with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT, follow_redirects=True) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # it has everything already, or is no part of this file, which the checksum tells
        response.raise_for_status()
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            there = 0  # a server that starts over
        total = there + int(response.headers.get("Content-Length", -there))
        with part.open("ab" if there else "wb") as file:
            for block in response.iter_bytes():
                file.write(block)
                progress(file.tell(), total)


def _log_progress() -> Progress:
    """Every fifth of the file as a line of the log."""
    fifth = -1

    def log(there: int, total: int) -> None:
        nonlocal fifth
        now = 5 * there // total if total else -1
        if now > fifth:
            fifth = now
            LOGGER.info("ml-1m: %.1f of %.1f MB", there / 1e6, total / 1e6)

    return log


def _no_network(url: str, part: Path, error: httpx.HTTPError) -> str:
    kept = (
        f" ({part.stat().st_size:,} bytes are kept, the next attempt goes on from there)"
        if part.exists()
        else ""
    )
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return (
        f"{url} cannot be downloaded: {reason}{kept}; "
        "set MATINEE_SOURCE to a folder with MovieLens files, or to synthetic"
    )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()

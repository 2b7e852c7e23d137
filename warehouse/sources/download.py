"""MovieLens 1M from GroupLens: downloaded once, checked, cached.

pooch fetches it to a temporary file in the cache, and moves it into place only if its checksum is right; it
checks the copy in the cache at every use and fetches a damaged one again. It does not resume: what broke off
is removed, and the next attempt starts over (the file has 6 MB). Nor does it keep two processes apart; a
lock does.
"""

import logging
import os
from pathlib import Path

import pooch
from filelock import FileLock
from requests import RequestException

from warehouse.errors import MatineeError, Unreachable

logger = logging.getLogger("matinee")

URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
MD5 = "c4d9eecfca2ab87c1945afe126590906"

TIMEOUT = 20.0
"""Seconds without any answer."""

CHUNK = 2**16
"""Bytes written at once."""


def movielens_1m(folder: Path | None = None, url: str = URL, md5: str = MD5) -> Path:
    """The zip of MovieLens 1M in a cache folder, by default ``cache_folder()``.

    Raises:
        Unreachable: no network, or it broke off.
        MatineeError: the file at the URL is not MovieLens 1M; or the cache cannot be written.
    """
    folder = folder or cache_folder()
    pooch.get_logger().setLevel(logging.WARNING)  # the lines of progress are ours
    downloader = pooch.HTTPDownloader(progressbar=_LoggedProgress(), chunk_size=CHUNK, timeout=TIMEOUT)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "ml-1m.lock"):
            return Path(pooch.retrieve(url, f"md5:{md5}", "ml-1m.zip", folder, downloader=downloader))
    except RequestException as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Unreachable(
            f"{url} cannot be downloaded: {reason}; "
            "set MATINEE_SOURCE to a folder with MovieLens files, or to synthetic"
        ) from error
    except ValueError as error:
        raise MatineeError(
            f"{url} is not MovieLens 1M (its md5 is not {md5}) and was removed: try again, "
            "or set MATINEE_SOURCE to a folder that has it"
        ) from error
    except OSError as error:
        raise MatineeError(f"{folder} cannot be written ({error}): set MATINEE_CACHE to a folder") from error


def cache_folder() -> Path:
    """The folder of downloads: ``MATINEE_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("MATINEE_CACHE") or pooch.os_cache("matinee"))


class _LoggedProgress:
    """A progress bar as pooch drives it: every fifth of the file is a line of the log."""

    def __init__(self) -> None:
        self.total = 0  # bytes, 0 if the server does not say
        self._done = 0
        self._fifths = -1  # logged

    def update(self, n: int) -> None:
        """Count n bytes more."""
        self._done = min(self._done + n, self.total)
        fifths = 5 * self._done // self.total if self.total else -1
        if fifths > self._fifths:
            self._fifths = fifths
            logger.info("ml-1m: %.1f of %.1f MB", self._done / 1e6, self.total / 1e6)

    def reset(self) -> None:
        """Count anew, which pooch does at the end, to come to exactly the total."""
        self._done = 0

    def close(self) -> None:
        """Nothing is open."""

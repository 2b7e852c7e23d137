"""Homes on an object store, ``s3://BUCKET/PREFIX``, and the folder that works for one on this machine.

The code works in a folder as with any home; what is committed there is sent to the store, and what others
committed is fetched. Objects are never written into. Two small ones are replaced, each by a conditional write
that one of several writers wins: ``log.json`` names the files of the log, ``serving/current.json`` the
published release. What neither of them leads to, nobody sees.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from warehouse.atomic import write_text
from warehouse.errors import MatineeError

Json = dict[str, Any]

MARKER = ".store"
"""The file of a working folder that holds the URL of its home."""

GRACE = timedelta(days=1)
"""Age from which an object that nothing leads to is removed: its writer was killed, or lost a race."""

TIMEOUT = 20
"""Seconds in which a store must answer."""

CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "404", "409", "412")
"""Answers of a store to a conditional write that comes second."""


class Taken(Exception):  # noqa: N818 - says what it is
    """Another writer was first: what was read is so no longer."""


class Store:
    """The objects of a home, named by their paths below its URL, and the folder that works for it.

    Where the store cannot be used all of it ends in a MatineeError: one line that says what to set.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def read(self, name: str) -> tuple[Json, str | None]:
        """A JSON object and its version; empty, and None, where there is none."""
        with self._plain_errors():
            try:
                body, version = self._run(_get_object(self._files, *self._address(name)))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return {}, None
        return json.loads(body), version

    def swap(self, name: str, content: Json, version: str | None) -> None:
        """Replace a JSON object that is of a version still; None: that is not there yet.

        Raises:
            Taken: it is not.
        """
        bucket, key = self._address(name)
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._plain_errors():
            try:
                self._files.call_s3(
                    "put_object", Bucket=bucket, Key=key, Body=json.dumps(content).encode(), **condition
                )
            except OSError as error:
                if _code(error) not in CONFLICTS:
                    raise
                # The answer to a first attempt may have been lost: then the second one met its own object.
                if self.read(name)[0] != content:
                    raise Taken(name) from None

    def write(self, name: str, content: Json) -> None:
        """Write a JSON object that nothing leads to yet."""
        with self._plain_errors():
            self._files.pipe_file(self._path(name), json.dumps(content, default=str).encode())

    def names(self, folder: str) -> dict[str, datetime]:
        """All objects below a folder, with the time of their upload."""
        with self._plain_errors():
            found = self._files.find(self._path(folder), detail=True)
        return {path.removeprefix(self._path("")): facts["LastModified"] for path, facts in found.items()}

    def has(self, *names: str) -> bool:
        """True if all these objects are there."""
        with self._plain_errors():
            return all(self._files.exists(self._path(name)) for name in names)

    def get(self, objects: Mapping[str, str]) -> None:
        """Fetch objects, by the path of their file in the folder; each appears whole, in this order.

        Raises:
            FileNotFoundError: one of them is gone.
        """
        if not objects:
            return
        with self._plain_errors(), TemporaryDirectory(dir=self.folder, prefix=".fetch-") as temporary:
            fetched = [f"{temporary}/{number}" for number in range(len(objects))]
            self._files.get([self._path(name) for name in objects.values()], fetched)
            for file, path in zip(fetched, objects, strict=True):
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, self.folder / path)

    def put(self, objects: Mapping[str, str]) -> None:
        """Send files of the folder, by their paths, as these objects."""
        if objects:
            with self._plain_errors():
                self._files.put(
                    [str(self.folder / path) for path in objects],
                    [self._path(name) for name in objects.values()],
                )

    def copy(self, objects: Mapping[str, str]) -> None:
        """Copy objects inside the store, by the name of their source."""
        if objects:
            with self._plain_errors():
                self._files.copy(list(map(self._path, objects)), list(map(self._path, objects.values())))

    def remove(self, names: Iterable[str]) -> None:
        """Delete objects."""
        if paths := [self._path(name) for name in names]:
            with self._plain_errors():
                self._files.rm(paths)

    @cached_property
    def _files(self) -> Any:
        try:
            from s3fs import S3FileSystem
        except ImportError:
            raise MatineeError(f"{self.url}: homes on a store need s3fs: pip install 'matinee[s3]'") from None
        # What others write must be seen at once: listings are not remembered.
        return S3FileSystem(
            use_listings_cache=False,
            skip_instance_cache=True,
            config_kwargs={
                "connect_timeout": TIMEOUT,
                "read_timeout": TIMEOUT,
                "retries": {"max_attempts": 3},
            },
        )

    def _run(self, coroutine: Any) -> Any:
        from fsspec.asyn import sync

        async def once() -> Any:
            return await coroutine

        return sync(self._files.loop, once)

    def _path(self, name: str) -> str:
        return f"{self.url.removeprefix('s3://')}/{name}"

    def _address(self, name: str) -> tuple[str, str]:
        bucket, _, key = self._path(name).partition("/")
        return bucket, key

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Errors that keep a store from being used as one line that says what to set."""
        bucket = self._address("")[0]
        assert self._files is not None  # says what is missing where s3fs is
        from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise MatineeError(
                f"{self.url}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from error
        except PermissionError as error:
            raise MatineeError(
                f"{self.url}: the credentials may not do this ({error}): docs/operate.md lists the rights"
            ) from error
        except BotoCoreError as error:
            raise MatineeError(f"{self.url} cannot be reached ({error}): {REACH}") from error
        except OSError as error:
            if _code(error) == "NoSuchBucket":
                raise MatineeError(
                    f"{self.url}: there is no bucket {bucket}: create it, or set MATINEE_HOME to another one"
                ) from error
            if isinstance(error, FileNotFoundError) or error.filename:  # an object that is gone; the disk
                raise
            raise MatineeError(f"{self.url} cannot be used ({error}): {REACH}") from error


REACH = "look at the network, AWS_ENDPOINT_URL and AWS_REGION"
"""Settings that decide where a store is looked for."""


def working_folder(url: str) -> Path:
    """The folder that works for a home on a store, by default in the user's cache folder.

    Raises:
        MatineeError: the URL is none of a bucket on S3.
    """
    url = url.rstrip("/")
    if not re.fullmatch(r"s3://[^/]+(/.+)?", url):
        raise MatineeError(f"MATINEE_HOME={url}: write a folder, or s3://BUCKET/PREFIX")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    mark = hashlib.sha256(f"{endpoint} {url}".encode()).hexdigest()[:12]
    # Only here: it loads what downloads need, and a home in a folder needs none of it.
    from warehouse.sources.download import cache_folder

    folder = cache_folder().absolute() / "homes" / f"{re.sub(r'[^a-zA-Z0-9]+', '-', url[5:])}-{mark}"
    if not (folder / MARKER).exists():
        write_text(folder / MARKER, url)
    return folder


def of(home: Path) -> Store | None:
    """The store that a folder works for; None for a home that is a folder itself."""
    try:
        return _open((home / MARKER).read_text(encoding="utf-8"), home)
    except FileNotFoundError:
        return None


def name(home: Path) -> str:
    """A home as its owner named it."""
    store = of(home)
    return store.url if store else str(home)


def facts(file: Path) -> Json:
    """The digest and the size of a file."""
    with file.open("rb") as stream:
        return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "size": file.stat().st_size}


def is_forgotten(uploaded: datetime) -> bool:
    """True if an object that nothing leads to was sent so long ago that nobody will lead to it any more."""
    return datetime.now(UTC) - uploaded > GRACE


@lru_cache
def _open(url: str, folder: Path) -> Store:
    return Store(url, folder)


async def _get_object(files: Any, bucket: str, key: str) -> tuple[bytes, str]:
    answer = await files._call_s3("get_object", Bucket=bucket, Key=key)
    return await answer["Body"].read(), answer["ETag"]


def _code(error: BaseException) -> str | None:
    """The code of a store's refusal, which s3fs turned into an error of Python's."""
    response: Json = getattr(error.__cause__, "response", {})
    code: str | None = response.get("Error", {}).get("Code")
    return code

"""The environment of an operator: where data lies and comes from; `tasks.config` decides a release."""

from pathlib import Path

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from warehouse import store
from warehouse.clock import TOLERANCE
from warehouse.errors import MatineeError
from warehouse.releases import serving


class Environment(BaseSettings):
    """The variables ``MATINEE_*`` but MATINEE_CACHE, which the download reads; an empty one is not set."""

    model_config = SettingsConfigDict(env_prefix="MATINEE_", env_ignore_empty=True, extra="ignore")

    home: str = "data"
    """Folder of all data, or its URL on an object store: s3://BUCKET/PREFIX."""
    source: str | None = None
    """A folder or zip in a MovieLens layout, `ml-1m`, or `synthetic[:scale]`; without it the log as it is."""
    config: Path | None = None
    """Configuration file; by default matinee.toml in the folder of all data."""
    keep_releases: PositiveInt | None = None
    """Releases kept for rollback: `releases.keep` of the configuration."""
    clock_tolerance: NonNegativeFloat = TOLERANCE
    """Seconds that a rating may be ahead of the clock of an ingest; later ones wait in the quarantine."""
    max_age_hours: PositiveFloat = 26.0
    """Hours that the published release may be old: a day, and two hours for the night to publish the next."""
    alert_block: str | None = None
    """Prefect block that alarms go to, TYPE/NAME; without it alerts.log in the folder of all data."""
    host: str = "127.0.0.1"
    """Address of `make serve`; any but this machine's own lets everybody in who reaches it."""
    port: PositiveInt = 4200
    """Port of the local Prefect server that `make serve` starts."""


def environment() -> Environment:
    """The variables as they are now.

    Raises:
        MatineeError: one of them makes no sense.
    """
    try:
        return Environment()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"MATINEE_{str(first['loc'][0]).upper()}"
        problem = first["msg"].replace("Input should be", "it must be").partition(", unable to parse")[0]
        raise MatineeError(f"{name}={first['input']!r}: {problem}") from None


def home() -> Path:
    """The folder of all data: MATINEE_HOME, by default ./data; for a URL the folder that works for it.

    Raises:
        MatineeError: the URL is none of a bucket on S3, or the path is one that DuckDB takes for a pattern.
    """
    text = environment().home
    if "://" in text:
        return store.working_folder(text)
    folder = Path(text).absolute()
    if set("*?[") & set(str(folder)):
        raise MatineeError(f"MATINEE_HOME={folder}: choose a path without *, ? and [, which stand for others")
    return folder


def own_configuration() -> Path:
    """The path of the configuration file of a home; that of a home on a store is fetched, if there is one."""
    file = home() / "matinee.toml"
    if found := store.of(file.parent):
        if found.has(file.name):
            found.get({file.name: file.name})
        else:
            file.unlink(missing_ok=True)
    return file


def where_published() -> str:
    """Where people find what is published."""
    return serving.where(home())


def source() -> str | None:
    """MATINEE_SOURCE: a folder, a zip, `ml-1m` or `synthetic[:scale]`; None stands for the log as it is."""
    return environment().source

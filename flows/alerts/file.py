"""The notifier that needs no network: a file with a line for each alarm."""

from datetime import UTC, datetime
from pathlib import Path

from prefect.blocks.abstract import NotificationBlock
from pydantic import Field


class AlertFile(NotificationBlock):
    """Appends a line for each alarm to a file on the machine of Prefect's server."""

    _block_type_name = "Alert File"
    _block_type_slug = "alert-file"

    file: Path = Field(description="The file, which is made if there is none.")

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Append the time (UTC), subject and body as one line."""
        words = [f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", subject or "", " ".join(body.split())]
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write("  ".join(filter(None, words)) + "\n")

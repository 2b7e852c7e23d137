"""Checksums of files: CRC-32, as in zip files, against what disks and copies do; not against malice.

That of a Parquet file of the log stands in its own footer, so that file and checksum appear together.
"""

import zlib
from pathlib import Path
from typing import IO

from warehouse.errors import Damaged

KEY = "crc32"
"""Key of the footer that holds the checksum of the rest of the file."""

BLANK = "0" * 8
"""The value of that key while the checksum is computed."""

MARK = KEY.encode() + b"\x18\x08"
"""The bytes before the value in the file: its key, and that it has 8 bytes (Thrift's compact protocol)."""

MAGIC = b"PAR1"
"""The first and the last bytes of a Parquet file."""

BLOCK = 2**20
"""Bytes read at once."""


def of(file: Path) -> str:
    """The checksum of a file, in hexadecimal digits."""
    with file.open("rb") as stream:
        return _hex(_crc(stream))


def seal(file: Path) -> None:
    """Put the checksum of a Parquet file into its footer, which has ``KEY`` with the value ``BLANK``."""
    with file.open("r+b") as stream:
        position = _position(stream)
        assert position is not None
        stream.seek(0)
        checksum = _hex(_crc(stream))
        stream.seek(position)
        stream.write(checksum.encode())


def is_sealed(file: Path) -> bool:
    """True if a Parquet file has a checksum, and it is right; False if it has none.

    Raises:
        Damaged: it is wrong, or the file is cut off.
    """
    with file.open("rb") as stream:
        position = _position(stream)
        if position is None:
            return False
        stream.seek(position)
        stated = stream.read(len(BLANK))
        stream.seek(0)
        crc = _crc(stream, position)
        stream.seek(position + len(BLANK))
        if _hex(_crc(stream, start=zlib.crc32(BLANK.encode(), crc))).encode() != stated:
            raise Damaged("its bytes are not those that were written")
    return True


def _position(stream: IO[bytes]) -> int | None:
    """Where the checksum stands in a Parquet file; None without one.

    Raises:
        Damaged: the file has no footer.
    """
    size = stream.seek(0, 2)
    stream.seek(max(0, size - 8))
    tail = stream.read()
    begin = size - 8 - int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or begin < len(MAGIC):
        raise Damaged("it is cut off, or no Parquet file")
    stream.seek(begin)
    found = stream.read().rfind(MARK)
    return None if found < 0 else begin + found + len(MARK)


def _crc(stream: IO[bytes], n: int | None = None, start: int = 0) -> int:
    """The CRC of the next n bytes, by default of all that follow, going on from one of what came before."""
    crc = start
    while block := stream.read(BLOCK if n is None else min(n, BLOCK)):
        crc = zlib.crc32(block, crc)
        n = None if n is None else n - len(block)
    return crc


def _hex(crc: int) -> str:
    return f"{crc:08x}"

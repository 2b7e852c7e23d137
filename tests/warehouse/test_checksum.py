"""Checksums: whatever happens to the bytes of a file shows."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse import checksum
from warehouse.errors import Damaged


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("checksum") / "table.parquet"
    frame = pl.DataFrame({"number": range(100), "text": ["abc"] * 100})
    frame.write_parquet(file, metadata={checksum.KEY: checksum.BLANK, "fact": "1"})
    checksum.seal(file)
    return file


def test_a_sealed_file_is_a_parquet_file_like_any_other(sealed: Path) -> None:
    assert checksum.is_sealed(sealed)
    assert pl.read_parquet(sealed)["number"].to_list() == list(range(100))
    assert pl.read_parquet_metadata(sealed)["fact"] == "1"


@given(st.integers(0, 10**6))
def test_a_flipped_bit_is_found_unless_it_makes_the_file_one_without_a_checksum(
    sealed: Path, number: int
) -> None:
    text = bytearray(sealed.read_bytes())
    number %= 8 * len(text)
    text[number // 8] ^= 1 << number % 8
    file = sealed.with_name("flipped.parquet")
    file.write_bytes(text)
    try:
        assert not checksum.is_sealed(file)
        assert checksum.MARK not in text
    except Damaged:
        pass


@given(st.integers(0, 10**6))
def test_a_file_that_is_cut_off_is_found(sealed: Path, length: int) -> None:
    text = sealed.read_bytes()
    file = sealed.with_name("cut.parquet")
    file.write_bytes(text[: length % len(text)])
    with pytest.raises(Damaged):
        checksum.is_sealed(file)


def test_a_file_without_a_checksum_is_no_damage(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    pl.DataFrame({"number": [1]}).write_parquet(file)
    assert not checksum.is_sealed(file)

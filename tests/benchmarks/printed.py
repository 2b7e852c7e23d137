"""Lines that benchmarks print, and the numbers in them."""

import math
import re

NUMBER = re.compile(r"[+-]?(?:\d[\d,]*\.?\d*(?:e[+-]?\d+)?|nan|inf)\b")


def line(text: str, name: str) -> str:
    """The one line that begins with a name."""
    found = [row for row in text.splitlines() if row.strip().startswith(name)]
    assert len(found) == 1, f"{len(found)} lines begin with {name!r} in\n{text}"
    return found[0]


def numbers(text: str, after: str = "") -> list[float]:
    """The numbers of a line behind a word; all are finite."""
    assert after in text, f"no {after!r} in {text!r}"
    found = [
        float(number.replace(",", ""))
        for number in NUMBER.findall(text.split(after, 1)[-1] if after else text)
    ]
    assert found, f"no number in {text!r}"
    assert all(math.isfinite(number) for number in found), text
    return found


def fraction(text: str, after: str) -> float:
    """The number behind a word, from 0 to 1."""
    value = numbers(text, after)[0]
    assert 0 <= value <= 1, text
    return value

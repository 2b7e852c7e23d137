"""The command called in this process, on a release written by hand."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.command import cli
from flows.command.screens import terminal
from tests.flows.command import release


@dataclass(frozen=True)
class Called:
    """The result of a call of the command."""

    code: int
    out: str
    err: str


Matinee = Callable[..., Called]


@pytest.fixture
def matinee(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Matinee:
    """Call the command with these words."""

    def call(*words: str) -> Called:
        monkeypatch.setattr(sys, "argv", ["matinee", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Called(stopped.value.code, printed.out, printed.err)

    return call


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one release, which the command uses."""
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    return release.write(tmp_path)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of 100 columns."""
    for name in ("out", "err"):
        console = terminal.SafeConsole(width=100, highlight=False, stderr=name == "err")
        monkeypatch.setattr(f"flows.command.screens.terminal.{name}", console)
    for module in ("published", "evaluation", "replay", "config", "why", "experiment"):
        monkeypatch.setattr(f"flows.command.screens.{module}.out", terminal.out)
    return


@pytest.fixture(autouse=True)
def logger_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command logs to its terminal; other tests of this process want to see the logger's lines."""
    logger = logging.getLogger("matinee")
    for attribute in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, attribute, getattr(logger, attribute))


def read(called: Called) -> object:
    """The JSON that a successful call printed."""
    assert (called.code, called.err) == (0, "")
    return json.loads(called.out)

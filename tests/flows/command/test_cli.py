"""The command as a whole: help, version, mistakes, and what it imports before it is asked for anything."""

import ast
import os
import re
import shlex
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from prefect.exceptions import TerminationSignal
from typer.main import get_command

from flows.command import cli
from tasks.errors import Held
from tests.flows.command.conftest import Matinee

HEAVY = ("duckdb", "polars", "numpy", "prefect", "torch", "altair")


def plain(example: str) -> str:
    """An example without the escapes of its markup."""
    return example.replace("\\[", "[")


def test_without_a_command_it_prints_its_help(matinee: Matinee) -> None:
    alone, help_text = matinee(), matinee("--help")
    assert (alone.code, alone.err) == (0, "")
    assert alone.out.strip() == help_text.out.strip()
    for panel, commands in cli.PANELS.items():
        assert panel in alone.out
        for command in commands:
            assert re.search(rf"^│ {command.__name__} +\w", alone.out, re.MULTILINE)


def test_the_version_names_the_code(matinee: Matinee) -> None:
    called = matinee("--version")
    assert called.code == 0
    assert called.out.startswith(f"matinee {version('matinee')}")
    assert cli.__file__.startswith(called.out.strip().rpartition("(")[2].rstrip(")"))


@pytest.mark.parametrize("command", [c.__name__ for commands in cli.PANELS.values() for c in commands])
def test_every_command_has_help_of_its_own_with_its_examples(
    command: str, matinee: Matinee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    called = matinee(command, "--help")
    assert (called.code, called.err) == (0, "")
    assert f"Usage: matinee {command}" in called.out
    for example in cli.EXAMPLES.get(command, ()):
        assert f"$ {plain(example)} " in called.out


def test_a_held_release_is_one_line_and_exit_code_3(
    matinee: Matinee, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held() -> None:
        raise Held("release r is held: top film: 0.9 (at most 0.5)")

    monkeypatch.setattr("tasks.commands.lookup.releases", held)
    called = matinee("releases")
    assert (called.code, called.out) == (3, "")
    assert called.err == "matinee: release r is held: top film: 0.9 (at most 0.5)\n"


def test_what_goes_to_a_file_has_the_width_of_our_tables(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from flows.command.cli import main; main()", "config", "rank"]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment["MATINEE_HOME"] = str(tmp_path)
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert max(map(len, done.stdout.splitlines())) == int(cli.FILE_COLUMNS)


def of_compiled_code(stopped: BaseException) -> SystemError:
    """The error that a compiled function makes of an exception in a callback of its own."""
    error = SystemError("returned a result with an exception set")
    error.__cause__ = stopped
    return error


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (KeyboardInterrupt(), 130),
        (of_compiled_code(KeyboardInterrupt()), 130),
        (SystemExit(143), 143),
        (of_compiled_code(TerminationSignal(signal.SIGTERM)), 143),
    ],
)
def test_a_signal_ends_it_in_a_line(
    raised: BaseException, code: int, matinee: Matinee, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped() -> None:
        raise raised

    monkeypatch.setattr("tasks.commands.lookup.releases", stopped)
    called = matinee("releases")
    assert called.code == code
    assert called.err.splitlines()[-1] == "matinee: stopped; what is published is unchanged"


@pytest.mark.parametrize("example", [line for lines in cli.EXAMPLES.values() for line in lines])
def test_every_example_is_understood(example: str) -> None:
    program, name, *words = shlex.split(plain(example).partition(">")[0])
    assert program == "matinee"
    command = get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, words).params


def loaded(*words: str) -> list[str]:
    """The heavy modules that a process has imported once it called the command."""
    script = (
        f"import sys; sys.argv = ['matinee', *{words}]\n"
        "from flows.command.cli import main\n"
        "try: main()\n"
        "except SystemExit as stopped: assert not stopped.code\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names: list[str] = ast.literal_eval(done.stdout.splitlines()[-1])
    return names


def test_help_imports_nothing_heavy() -> None:
    assert loaded("--help") == []
    assert loaded("nightly", "--help") == []


def test_a_question_imports_nothing_heavy_but_duckdb(home: Path) -> None:
    for words in (("recommend", "1"), ("similar", "toy story"), ("releases",)):
        assert loaded(*words) == ["duckdb"]


@pytest.mark.parametrize("word", ["[/x]", "[bold]", ":abc:"])
def test_a_mistake_is_repeated_as_it_was_typed(word: str, matinee: Matinee) -> None:
    called = matinee("recommend", word)
    assert (called.code, called.out) == (2, "")
    assert called.err == f"matinee: '{word}' is no user id: ids are whole numbers\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bogus"], "No such command 'bogus' (see `matinee --help`)"),
        (["similar"], "Missing argument 'FILM' (see `matinee similar --help`)"),
        (["recommend"], "give one of USER_ID, --likes and --ask (see `matinee recommend --help`)"),
        (["recommend", "1", "--likes", "2"], "give one of USER_ID, --likes and --ask"),
        (["recommend", "1", "--ask"], "give one of USER_ID, --likes and --ask"),
        (["recommend", "1", "-n", "0"], "Invalid value for '-n'"),
        (["nightly", "--mode", "hot"], "Invalid value for '--mode'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], message: str, matinee: Matinee) -> None:
    called = matinee(*words)
    assert (called.code, called.out) == (2, "")
    assert called.err.startswith(f"matinee: {message}")
    assert called.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nightly", "--as-of", "yesterday"], "ISO 8601"),
        (["nightly", "--top-n", "0"], "top-n"),
        (["hourly", "--set", "top_n=9"], "top_n"),
        (["ingest", "/nowhere"], "/nowhere"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_mistake_of_a_value_is_one_line_and_exit_code_2(
    words: list[str], message: str, matinee: Matinee
) -> None:
    called = matinee(*words)
    assert (called.code, called.out, called.err.count("\n")) == (2, "", 1)
    assert message in called.err


def test_an_hour_before_any_night_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matinee: Matinee
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    called = matinee("hourly")
    assert (called.code, called.out) == (2, "")
    assert "matinee nightly" in called.err

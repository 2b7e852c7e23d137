"""``matinee config``: every setting, its value, and where that comes from."""

import tomllib
from pathlib import Path

import pytest

from flows.command.screens import config
from tests.flows.command.conftest import Matinee, read


def test_each_setting_is_shown_with_its_value_its_origin_and_the_sentence(
    wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    config.show(
        [
            {"key": "top_n", "value": 20, "origin": "--set", "about": "Films [of] a user."},
            {"key": "recall.channels", "value": ["ease", "mf"], "origin": "matinee.toml", "about": ""},
            {"key": "incremental.channel", "value": None, "origin": "default", "about": "Name."},
        ]
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "setting value from"
    assert lines[2:] == [
        "top_n 20 --set",
        "Films [of] a user.",
        "recall.channels [ease, mf] matinee.toml",
        "incremental.channel null default",
        "Name.",
    ]


def test_only_what_was_changed(home: Path, matinee: Matinee) -> None:
    assert matinee("config", "--changed").out == "Every setting is at its default.\n"
    assert read(matinee("config", "--changed", "--json")) == []
    rows = read(matinee("config", "--changed", "--set", "top_n=20", "--json"))
    assert isinstance(rows, list)
    assert [(row["key"], row["value"], row["origin"]) for row in rows] == [("top_n", 20, "--set")]


def test_all_settings_are_there_without_a_choice(home: Path, matinee: Matinee) -> None:
    rows = read(matinee("config", "--json"))
    assert isinstance(rows, list)
    assert {"top_n", "objective", "seed"} <= {row["key"] for row in rows}
    assert {row["origin"] for row in rows} == {"default"}


def test_a_section_is_shown_alone(home: Path, matinee: Matinee) -> None:
    rows = read(matinee("config", "rank", "--json"))
    assert {row["key"].partition(".")[0] for row in rows} == {"rank"}
    assert [row["key"] for row in read(matinee("config", "top_n", "--json"))] == ["top_n"]
    called = matinee("config", "nonsense")
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "no setting begins with nonsense" in called.err


def test_the_example_is_a_file_that_changes_nothing(home: Path, matinee: Matinee) -> None:
    called = matinee("config", "--example")
    assert (called.code, called.err) == (0, "")
    assert "# top_n = 50" in called.out
    tomllib.loads(called.out)
    (home / "matinee.toml").write_text(called.out)
    assert read(matinee("config", "--changed", "--json")) == []


def test_features_that_no_run_would_take_are_refused(home: Path, matinee: Matinee) -> None:
    for setting in ("features=nosuch.toml", 'optional_features=["nosuch"]'):
        called = matinee("config", "--set", setting)
        assert (called.code, called.err.count("\n")) == (2, 1)
        assert "nosuch" in called.err

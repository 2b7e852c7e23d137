"""Arguments that the commands hand on to flows and tasks; the flows are tested beside this folder."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.command.conftest import Matinee, read

Spy = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Replace a function by one that notes what it is called with, and publishes nothing."""

    def replace(target: str) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def called(*arguments: Any, **options: Any) -> dict[str, Any]:
            calls.append({"arguments": arguments, **options})
            return {"release_id": None, "as_of": None, "seed": 0, "rows": {}}

        module, _, name = target.rpartition(".")
        monkeypatch.setattr(importlib.import_module(module), name, called)
        return calls

    return replace


def plain(changes: Any) -> Any:
    """Settings as JSON has them."""
    return json.loads(json.dumps(changes.changes))


@pytest.mark.parametrize(
    ("words", "config"),
    [
        ([], {}),
        (["--set", "rank.ranker=din", "--set", "seed=3"], {"rank": {"ranker": "din"}, "seed": 3}),
        (["--top-n", "7", "--objective", "next"], {"top_n": 7, "objective": "next"}),
        (["--set", "recall.channels=[ease,mf]"], {"recall": {"channels": ["ease", "mf"]}}),
        (["--set", "top_n=5", "--top-n", "7"], {"top_n": 7}),
    ],
)
def test_nightly_hands_on_what_is_set_and_nothing_else(
    words: list[str], config: dict[str, Any], spy: Spy, home: Path, matinee: Matinee
) -> None:
    calls = spy("flows.nightly.nightly")
    called = matinee("nightly", "--as-of", "2001-01-01", "--mode", "cold", *words, "--json")
    assert called.code == 0, called.err
    (call,) = calls
    assert plain(call.pop("config")) == config
    expected = {"source": None, "as_of": "2001-01-01", "mode": "cold", "or_synthetic": False}
    assert call == {"arguments": (), **expected}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FloatingPointError("ranker din: the loss is nan: lower x"), "matinee: ranker din: the loss is nan"),
        (
            RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server."),
            "matinee: Prefect's temporary server did not start in time",
        ),
    ],
    ids=["a training that diverged", "a server that does not start"],
)
def test_a_failure_is_one_line_that_says_what_to_set(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, home: Path, matinee: Matinee
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(importlib.import_module("flows.nightly"), "nightly", fail)
    called = matinee("nightly")
    assert called.code == 2
    assert called.err.splitlines()[-1].startswith(line)


def test_a_features_file_that_is_not_there_is_refused_before_the_flow_begins(
    spy: Spy, home: Path, matinee: Matinee
) -> None:
    calls = spy("flows.nightly.nightly")
    called = matinee("nightly", "--set", "features=nowhere.toml")
    assert called.code == 2
    assert "nowhere.toml" in called.err
    assert calls == []


def test_hourly_hands_on_what_is_set(spy: Spy, home: Path, matinee: Matinee) -> None:
    calls = spy("flows.hourly.hourly")
    called = matinee("hourly", "--set", "releases.keep=3")
    assert called.code == 0, called.err
    (call,) = calls
    assert plain(call.pop("config")) == {"releases": {"keep": 3}}
    assert call == {"arguments": (), "as_of": None}
    assert called.out == "Nothing new: what is published stays.\n"


def test_evaluate_hands_on_names_lengths_and_settings(spy: Spy, matinee: Matinee) -> None:
    calls = spy("tasks.commands.evaluate.evaluate")
    words = ["--channels", "ease, swing,ease", "--k", "50,10", "--set", "merge.l2=2.5", "--json"]
    assert matinee("evaluate", "--protocol", "rolling", *words).code == 0
    arguments = ("rolling", None, ["ease", "swing"], None, [10, 50], None, None, None, ())
    assert calls == [{"arguments": (*arguments, {"merge": {"l2": 2.5}}, None)}]


def test_replay_hands_on_days_and_settings(spy: Spy, matinee: Matinee) -> None:
    calls = spy("tasks.commands.replay.replay")
    words = ["--from", "2001-01-01", "--to", "2001-01-02", "--seed", "3", "--set", "top_n=5", "--json"]
    assert matinee("replay", *words).code == 0
    arguments = ("2001-01-01", "2001-01-02", None, 3, None)
    assert calls == [{"arguments": arguments, "config": {"top_n": 5}}]


@pytest.mark.parametrize(
    "words",
    [
        ["nightly", "--set", "rank.rankr=din"],
        ["nightly", "--set", "top_n"],
        ["nightly", "--set", "top_n=none"],
        ["nightly", "--as-of", "yesterday"],
        ["nightly", "--source", "nowhere/at/all"],
        ["hourly", "--set", "top_n=5"],
        ["hourly", "--as-of", "yesterday"],
        ["config", "--set", "rank.rankr=din"],
    ],
)
def test_a_mistake_is_reported_before_anything_is_computed(
    words: list[str], spy: Spy, home: Path, matinee: Matinee
) -> None:
    flows = [spy("flows.nightly.nightly"), spy("flows.hourly.hourly")]
    called = matinee(*words)
    assert (called.code, called.out) == (2, "")
    assert called.err.startswith("matinee: ")
    assert called.err.count("\n") == 1
    assert flows == [[], []]


def test_the_defaults_in_the_help_are_those_of_the_configuration(home: Path, matinee: Matinee) -> None:
    rows = read(matinee("config", "--json"))
    assert isinstance(rows, list)
    default = {row["key"]: row["value"] for row in rows}
    words = " ".join(matinee("nightly", "--help").out.replace("│", " ").split())
    assert f"--set top_n=N. Default: {default['top_n']}." in words
    assert f"--set objective=next. Default: {default['objective']}." in words

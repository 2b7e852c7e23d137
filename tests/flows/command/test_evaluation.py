"""``matinee evaluate`` as people and programs see it."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from flows.command.screens import evaluation
from models.evaluation.rows import Row
from tests.flows.command.conftest import Matinee

SMALL = ["--source", "synthetic:0.01", "--channels", "popular,item_cf", "--k", "10,50,300"]


def evaluate(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from flows.command.cli import main; main()", "evaluate", *arguments]
    environment = {"MATINEE_HOME": str(home), "PATH": "/usr/bin:/bin", "COLUMNS": "100", "HOME": str(home)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder with metrics.json, and what the command printed."""
    home = tmp_path_factory.mktemp("home")
    out = str(home / "metrics.json")
    return home, evaluate(home, "--protocol", "leave-one-out", *SMALL, "--out", out, "--baseline", "popular")


def test_the_terminal_shows_a_row_a_model_in_100_columns(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    home, answer = done
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    metrics, differences = answer.stdout.split("Less popular")
    for model in ("popular", "item_cf", "merged", "union", "published"):
        assert any(line.split()[:1] == [model] for line in metrics.splitlines())
        assert any(line.split()[:1] == [model] for line in differences.splitlines()) == (model != "popular")
    for column in ("HR@10", "NDCG@10", "HR@50", "recall@300", "fit"):
        assert column in metrics
    rows = json.loads((home / "metrics.json").read_text())
    (hit_rate,) = (
        row["value"]
        for row in rows
        if (row["model"], row["slice"], row["metric"], row["k"]) == ("popular", "all", "hr", 10)
    )
    (line,) = (line for line in metrics.splitlines() if line.split()[:1] == ["popular"])
    assert line.split()[1] == f"{hit_rate:.4f}".removeprefix("0")
    assert "seed 0" in metrics
    assert f"{rows[0]['n_users']:,} users, {rows[0]['n_events']:,} events" in metrics


def test_progress_is_logged_a_line_a_channel(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    lines = done[1].stderr.splitlines()
    # For the merge, for the rankers, for the test.
    assert sum("item_cf" in line and "recall" in line for line in lines) == 3
    assert sum("best_channel is" in line for line in lines) == 1
    assert not any("Warning" in line for line in lines)


def test_the_file_holds_the_rows_of_the_contract(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    rows = json.loads((done[0] / "metrics.json").read_text())
    assert {tuple(row) for row in rows} == {tuple(field.name for field in fields(Row))}
    assert {row["stage"] for row in rows} == {"recall", "merge", "prerank", "rank", "published"}
    assert (done[0] / "metrics.json.npz").exists()


def test_json_is_for_programs_and_compares_with_a_file(
    done: tuple[Path, subprocess.CompletedProcess[str]], matinee: Matinee
) -> None:
    baseline = ["--baseline", str(done[0] / "metrics.json")]
    called = matinee("evaluate", "--protocol", "leave-one-out", *SMALL, *baseline, "--json")
    assert called.code == 0
    answer = json.loads(called.out)
    assert set(answer) == {"protocol", "split", "seed", "rows", "baseline", "differences", "lists"}
    assert {row["value"] for row in answer["differences"] if row["metric"] == "hr"} == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "loo"], "unknown protocol 'loo': choose from leave-one-out, "),
        (["--protocol", "leave-one-out", "--channels", "magic"], "unknown channel 'magic': choose from "),
        (["--protocol", "leave-one-out", "--channels", " ,"], "--channels names no channel"),
        (["--protocol", "leave-one-out", "--rankers", "magic"], "unknown ranker 'magic': choose from "),
        (["--protocol", "leave-one-out", "--rankers", ","], "--rankers names no ranker"),
        (["--protocol", "leave-one-out", "--k", "10,x"], "'10,x' are no list lengths"),
        (["--protocol", "leave-one-out", "--baseline", "magic"], "unknown baseline 'magic'"),
        (["--protocol", "leave-one-out"], "has no ratings"),
        ([], "Missing option '--protocol'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matinee: Matinee
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    called = matinee("evaluate", *arguments)
    assert (called.code, called.out) == (2, "")
    assert called.err.count("\n") == 1
    assert message in called.err


def measured(model: str, value: float, stage: str = "recall", part: str = "all") -> dict:
    row = {"stage": stage, "model": model, "slice": part, "metric": "recall", "k": 50, "value": value}
    interval = {"ci_low": value - 0.1, "ci_high": value + 0.1}
    return row | interval | {"n_users": 2, "n_events": 3, "fit_seconds": 1.0}


def test_rolling_is_shown_by_slice_best_first_with_marked_differences(
    wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.show(
        {
            "protocol": "rolling",
            "split": ["a" * 64, "b" * 64],
            "seed": 0,
            "baseline": "popular",
            "rows": [
                measured("worse", 0.1),
                measured("better", 0.3),
                measured("merged", 0.2, "merge"),
                measured("better", 0.4, part="known"),
                measured("better", 0.4, part="gender=F"),
            ],
            "differences": [measured("better", 0.2), measured("worse", -0.2), measured("merged", 0.05)],
            "lists": [],
        }
    )
    shown = capsys.readouterr().out
    assert "gender" not in shown
    assert "2 users known at the start of the window, 3 events" in shown
    assert shown.index("better") < shown.index("worse") < shown.index("merged")
    assert "aaaaaaaaaaaa bbbbbbbbbbbb" in shown
    differences = [line.split() for line in shown.split("Less popular")[1].splitlines()]
    marks = {cells[0]: cells[1][0] for cells in differences if len(cells) > 1 and cells[1][0] in "▲▼+-"}
    assert marks == {"better": "▲", "worse": "▼", "merged": "+"}


def test_rankers_are_shown_without_lengths_and_a_lower_log_loss_is_better(
    wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(model: str, metric: str, value: float) -> dict:
        return measured(model, value, "rank") | {"metric": metric, "k": None}

    values = {"auc": (0.5, 0.9), "logloss": (0.6, 0.3), "gauc": (0.5, 0.8)}
    rows = [
        row(model, metric, both[n]) for n, model in enumerate(("lr", "fm")) for metric, both in values.items()
    ]
    differences = [row("fm", metric, both[1] - both[0]) for metric, both in values.items()]
    evaluation.show(
        {
            "protocol": "ctr-random",
            "split": ["a" * 64],
            "seed": 0,
            "baseline": "lr",
            "rows": rows,
            "differences": differences,
            "lists": [],
        }
    )
    metrics_shown, differences_shown = capsys.readouterr().out.split("Less lr")
    header = next(line for line in metrics_shown.splitlines() if "AUC" in line)
    assert {"AUC", "GAUC"} <= set(header.split())
    assert "@" not in header
    assert metrics_shown.index("fm ") < metrics_shown.index("lr ")
    (line,) = (line for line in differences_shown.splitlines() if line.split()[:1] == ["fm"])
    assert line.count("▲") == 3

"""``matinee evaluate`` as people and programs see it."""

import json
import logging
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from rich.console import Console

from flows.command import evaluate_screen
from flows.command.cli import main
from models.evaluation.rows import Row

SMALL = ["--source", "synthetic:0.01", "--channels", "popular,item_cf", "--k", "10,50,300"]


@pytest.fixture(autouse=True)
def logger_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command logs to its terminal; other tests of this process want to see the logger's lines."""
    logger = logging.getLogger("matinee")
    for attribute in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, attribute, getattr(logger, attribute))


def matinee(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from flows.command.cli import main; main()", "evaluate", *arguments]
    environment = {"MATINEE_HOME": str(home), "PATH": "/usr/bin:/bin", "COLUMNS": "100", "HOME": str(home)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder with figures.json, and what the command printed."""
    home = tmp_path_factory.mktemp("home")
    out = str(home / "figures.json")
    return home, matinee(home, "--protocol", "leave-one-out", *SMALL, "--out", out, "--baseline", "popular")


def test_the_terminal_shows_a_row_a_model_in_100_columns(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    home, answer = done
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    figures, differences = answer.stdout.split("Less popular")
    for model in ("popular", "item_cf", "merged", "union", "published"):
        assert any(line.split()[:1] == [model] for line in figures.splitlines())
        assert any(line.split()[:1] == [model] for line in differences.splitlines()) == (model != "popular")
    for column in ("HR@10", "NDCG@10", "HR@50", "recall@300", "fit"):
        assert column in figures
    rows = json.loads((home / "figures.json").read_text())
    (hit_rate,) = (
        row["value"]
        for row in rows
        if (row["model"], row["slice"], row["metric"], row["k"]) == ("popular", "all", "hr", 10)
    )
    (line,) = (line for line in figures.splitlines() if line.split()[:1] == ["popular"])
    assert line.split()[1] == f"{hit_rate:.4f}".removeprefix("0")
    assert "seed 0" in figures
    assert f"{rows[0]['n_users']:,} users, {rows[0]['n_events']:,} events" in figures


def test_progress_is_told_a_line_a_channel(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    lines = done[1].stderr.splitlines()
    # For the merge, for the rankers, for the test.
    assert sum("item_cf" in line and "recall" in line for line in lines) == 3
    assert sum("best_channel is" in line for line in lines) == 1
    assert not any("Warning" in line for line in lines)


def test_the_file_holds_the_rows_of_the_contract(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    rows = json.loads((done[0] / "figures.json").read_text())
    assert {tuple(row) for row in rows} == {tuple(field.name for field in fields(Row))}
    assert {row["stage"] for row in rows} == {"recall", "merge", "rank", "published"}
    assert (done[0] / "figures.json.npz").exists()


def test_json_is_for_programs_and_compares_with_a_file(
    done: tuple[Path, subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline = ["--baseline", str(done[0] / "figures.json")]
    monkeypatch.setattr(
        sys, "argv", ["matinee", "evaluate", "--protocol", "leave-one-out", *SMALL, *baseline, "--json"]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    read = json.loads(capsys.readouterr().out)
    assert set(read) == {"protocol", "split", "seed", "rows", "baseline", "differences"}
    assert {row["value"] for row in read["differences"] if row["metric"] == "hr"} == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "loo"], "unknown protocol 'loo': choose one of leave-one-out, "),
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
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["matinee", "evaluate", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert message in said.err


def figure(model: str, value: float, stage: str = "recall", part: str = "all") -> dict:
    row = {"stage": stage, "model": model, "slice": part, "metric": "recall", "k": 50, "value": value}
    interval = {"ci_low": value - 0.1, "ci_high": value + 0.1}
    return row | interval | {"n_users": 2, "n_events": 3, "fit_seconds": 1.0}


def test_rolling_is_shown_by_slice_best_first_with_marked_differences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_screen, "out", Console(width=100, highlight=False))
    evaluate_screen.show(
        {
            "protocol": "rolling",
            "split": ["a" * 64, "b" * 64],
            "seed": 0,
            "baseline": "popular",
            "rows": [
                figure("worse", 0.1),
                figure("better", 0.3),
                figure("merged", 0.2, "merge"),
                figure("better", 0.4, part="known"),
                figure("better", 0.4, part="gender=F"),
            ],
            "differences": [figure("better", 0.2), figure("worse", -0.2), figure("merged", 0.05)],
        }
    )
    shown = capsys.readouterr().out
    assert "gender" not in shown
    assert "2 users known at the start of the window, 3 events" in shown
    assert shown.index("better") < shown.index("worse") < shown.index("merged")
    assert "aaaaaaaaaaaa bbbbbbbbbbbb" in shown
    differences = [line.split() for line in shown.split("Less popular")[1].splitlines()]
    marks = {cells[0]: cells[-1] for cells in differences if len(cells) > 1 and cells[1][0] in "+-"}
    assert marks == {"better": "▲", "worse": "▼", "merged": "±.100"}


def test_rankers_are_shown_without_lengths_and_a_lower_log_loss_is_better(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_screen, "out", Console(width=100, highlight=False))

    def row(model: str, metric: str, value: float) -> dict:
        return figure(model, value, "rank") | {"metric": metric, "k": None}

    figures = {"auc": (0.5, 0.9), "logloss": (0.6, 0.3), "gauc": (0.5, 0.8)}
    rows = [
        row(model, metric, both[n])
        for n, model in enumerate(("lr", "fm"))
        for metric, both in figures.items()
    ]
    differences = [row("fm", metric, both[1] - both[0]) for metric, both in figures.items()]
    evaluate_screen.show(
        {
            "protocol": "ctr-random",
            "split": ["a" * 64],
            "seed": 0,
            "baseline": "lr",
            "rows": rows,
            "differences": differences,
        }
    )
    figures_shown, differences_shown = capsys.readouterr().out.split("Less lr")
    header = next(line for line in figures_shown.splitlines() if "AUC" in line)
    assert {"AUC", "GAUC"} <= set(header.split())
    assert "@" not in header
    assert figures_shown.index("fm ") < figures_shown.index("lr ")
    (line,) = (line for line in differences_shown.splitlines() if line.split()[:1] == ["fm"])
    assert line.count("▲") == 3

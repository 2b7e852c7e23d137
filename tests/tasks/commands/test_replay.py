"""Replay of two days of a small log: what comes out, and what is refused."""

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.command import cli
from flows.command.screens import terminal
from models.evaluation.split import epoch
from models.pipeline.replay import METRICS, POLICIES, SLICES, Replayed
from tasks.commands import replay as task
from tasks.commands.replay import replay
from tests.models.evaluation.logs import random_log
from tests.warehouse import batches
from warehouse.errors import MatineeError

FIRST, LAST = "2002-03-01", "2002-03-02"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """40 users and 120 films; some users are new on each of the days, and some films are rated twice."""
    log = random_log(0, "2002-02-20", "2002-03-05", n_users=40, n_items=120, n_events=700)
    begin = np.where(log.user_idx % 4, 0, epoch(FIRST) + (log.user_idx % 8 > 0) * 86_400)
    rows = np.flatnonzero(log.at >= begin)
    once = {(log.user_idx[row], log.item_idx[row], log.at[row]): int(log.rating[row]) for row in rows}
    films = {item + 1: (f"Film {item} ({1950 + item % 50})", "Drama|War") for item in range(120)}
    ratings = [(user + 1, item + 1, rating, at) for (user, item, at), rating in once.items()]
    return batches.dat(tmp_path_factory.mktemp("source") / "ratings", ratings, films)


@pytest.fixture(scope="module")
def lived(source: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Replayed]:
    """The answer, read back from the file that it is written to, and the ranks that it is made of."""
    out = tmp_path_factory.mktemp("out") / "replay.json"
    found: list[Replayed] = []
    live = task.living.replay

    def spy(*arguments: Any, **options: Any) -> Replayed:
        found.append(live(*arguments, **options))
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task.living, "replay", spy)
        answer = replay(FIRST, LAST, source, seed=3, out=out)
    assert json.loads(out.read_text()) == answer
    return answer, found[0]


def metrics_of(ranks: list[int]) -> Mapping[str, float]:
    """The metrics of some events, one by one."""
    gain = [1 / np.log2(rank0 + 2) if 0 <= rank0 < 10 else 0 for rank0 in ranks]
    return {
        "hr@10": sum(value > 0 for value in gain) / len(ranks),
        "ndcg@10": sum(gain) / len(ranks),
        "recall@50": sum(rank0 >= 0 for rank0 in ranks) / len(ranks),
    }


def test_every_first_rating_of_the_days_is_scored_for_every_policy(
    lived: tuple[dict[str, Any], Replayed], source: str
) -> None:
    answer, _ = lived
    assert {name: answer[name] for name in ("from", "to", "seed")} == {"from": FIRST, "to": LAST, "seed": 3}
    assert answer["control"] in POLICIES
    rows = {(row["policy"], row["slice"], row["metric"]): row for row in answer["rows"]}
    assert list(rows) == [(name, part, m) for part in SLICES for name in POLICIES for m in METRICS]
    first: dict[tuple[str, str], int] = {}
    for line in (Path(source) / "ratings.dat").read_text().splitlines():
        user, item, _, at = line.split("::")
        first[user, item] = min(int(at), first.get((user, item), int(at)))
    inside = [user for (user, _), at in first.items() if epoch(FIRST) <= at < epoch("2002-03-03")]
    for (policy, part, _), row in rows.items():
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        if part == "all":
            assert (row["n_events"], row["n_users"]) == (len(inside), len(set(inside)))
        if policy == answer["control"]:
            assert row["difference"] == {"value": 0, "ci_low": 0, "ci_high": 0}


def test_days_are_the_means_of_their_events(lived: tuple[dict[str, Any], Replayed]) -> None:
    answer, found = lived
    ranks = defaultdict(list)
    for event, at in enumerate(found.at.tolist()):
        for policy in POLICIES:
            day = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
            ranks[day, bool(found.has_history[event]), policy].append(int(found.rank0[policy][event]))
    assert len(ranks) == 2 * 2 * len(POLICIES)
    rows = {(row["day"], row["known"], row["policy"]): row for row in answer["days"]}
    assert len(rows) == len(answer["days"])
    assert rows.keys() == ranks.keys()
    for key, row in rows.items():
        assert row["n_events"] == len(ranks[key])
        assert {metric: row[metric] for metric in METRICS} == pytest.approx(metrics_of(ranks[key]))


def test_what_cannot_be_replayed_is_refused(source: str, tmp_path: Path) -> None:
    def refused(begin: str, end: str, match: str, out: Path | None = None) -> None:
        with pytest.raises(MatineeError, match=match):
            replay(begin, end, source, 0, out)

    refused("tomorrow", LAST, "'tomorrow' is not a time in ISO 8601")
    refused(FIRST, "2002-03-02T12:00", "'2002-03-02T12:00' is no day")
    refused("0001-01-01T00:00+10:00", LAST, "is not a time in ISO 8601")
    refused(FIRST, "9999-01-01", "--to 9999-01-01 is after the newest rating, which is of 2")
    refused(FIRST, "2002-02-28", "--to 2002-02-28 is before --from 2002-03-01")
    refused("1990-03-01", "1990-03-02", "1990-03-01 to 1990-03-02 cannot be replayed on this log")
    refused("2002-02-01", "2002-02-02", "2002-02-01 to 2002-02-02 cannot be replayed on this log")
    refused(FIRST, LAST, "must be a file in a folder that exists", tmp_path / "nowhere" / "replay.json")


@pytest.mark.parametrize(
    ("begin", "end", "line"),
    [
        ("1990-03-01", "1990-03-02", "1990-03-01 to 1990-03-02 cannot be replayed on this log: "),
        ("2002-03-02", "2002-03-01", "--to 2002-03-01 is before --from 2002-03-02"),
        ("2002-03-01T12", "2002-03-02", "'2002-03-01T12' is no day: "),
        ("2003-03-01", "2003-03-02", "--to 2003-03-02 is after the newest rating"),
    ],
)
def test_the_command_tells_a_mistake_in_one_line(
    begin: str,
    end: str,
    line: str,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["matinee", "replay", "--from", begin, "--to", end, "--source", source])
    monkeypatch.setattr(terminal, "log_to_terminal", lambda: None)
    with pytest.raises(SystemExit) as done:
        cli.main()
    printed = capsys.readouterr()
    assert (done.value.code, printed.out) == (2, "")
    assert printed.err.startswith(f"matinee: {line}")
    assert printed.err.count("\n") == 1

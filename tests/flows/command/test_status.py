"""Whether all is well, on a release written by hand."""

from datetime import timedelta
from pathlib import Path

import pytest

from flows.status import status
from tasks.errors import MatineeError
from tests.flows.command import release
from tests.flows.command.conftest import Matinee, read
from warehouse.runs.run import utc_now


def test_a_fresh_release_is_well(matinee: Matinee, home: Path) -> None:
    release.execute(home, f"update releases set created_at = '{utc_now() - timedelta(hours=1)}'")
    called = matinee("status")
    assert called.code == 0
    assert called.out.startswith(f"fresh  release {release.RELEASE}")


def test_an_old_release_is_stale_and_exits_with_1(
    matinee: Matinee, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = matinee("status")
    assert called.code == 1
    assert called.out.startswith(f"stale  release {release.RELEASE}")
    assert "limit 26 h" in called.out
    monkeypatch.setenv("MATINEE_MAX_AGE_HOURS", "1000000")
    assert matinee("status").code == 0


def test_the_answer_names_warnings_and_what_lies_in_quarantine(matinee: Matinee, home: Path) -> None:
    drift = f"'{release.RELEASE}', 'events', 'drift: rating', false, 0.5, 0.25, false, 'PSI'"
    release.execute(home, f"insert into checks values ({drift})")
    called = matinee("status", "--json")
    assert called.code == 1
    answer = read(type(called)(0, called.out, called.err))
    assert answer["warnings"] == ["PSI"]
    assert (answer["held"], answer["unfinished"], answer["quarantine"]) == ([], [], {})
    assert answer["stale"]


def test_the_flow_fails_where_the_release_is_too_old(prefect_server: None, home: Path) -> None:
    with pytest.raises(MatineeError, match=r"h old, more than 26 h \(MATINEE_MAX_AGE_HOURS\)"):
        status()


def test_deploy_needs_a_server(matinee: Matinee, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    called = matinee("deploy")
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "export PREFECT_API_URL" in called.err
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    called = matinee("deploy")
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "is the server up?" in called.err

"""The Prefect server of a benchmark's own."""

import os
from pathlib import Path

import httpx
import pytest

from benchmarks.server import server


def test_servers_one_after_the_other_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    before, ports = dict(os.environ), set()
    for number in range(2):  # the second is one of its own, not the first that has ended
        with server(tmp_path / str(number)) as api:
            assert os.environ["PREFECT_API_URL"] == api
            assert httpx.get(f"{api}/health").is_success
            ports.add(api)
        assert dict(os.environ) == before
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{api}/health")
    assert len(ports) == 2

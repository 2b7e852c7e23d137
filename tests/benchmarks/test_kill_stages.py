"""kill -9 in the middle of a run."""

import pytest

from benchmarks import kill_stages
from tests.benchmarks.printed import line, numbers


@pytest.mark.usefixtures("server")
def test_a_killed_run_leaves_the_old_release_whole(capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--source", "synthetic:0.01", "--set", "recall.channels=[popular]"]
    with pytest.raises(SystemExit) as exit:
        kill_stages.main([*quick, "--after", "recommend"])
    text = capsys.readouterr().out
    assert numbers(line(text, "killed in the first ingest"))[0] in (0, 1)
    assert line(text, "killed after 'recommend'").endswith("the old release is whole")
    ratings, rows, users, left = numbers(line(text, "rerun"))
    assert min(ratings, rows, users) > 0
    assert left == 0
    assert exit.value.code == 0

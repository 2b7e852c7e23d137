"""Two releases as of one moment, before and after the log went on."""

import pytest

from benchmarks import leakage
from tests.benchmarks.printed import line, numbers


@pytest.mark.usefixtures("server")
def test_no_table_differs(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_SOURCE", folder)
    with pytest.raises(SystemExit) as exit:
        leakage.main(["--as-of", "2002-01-01T00:00:00", "--set", "recall.channels=[popular,item_cf]"])
    text = capsys.readouterr().out
    for table in ("recommendations", "user_features", "item_features", "item_similarity", "metrics"):
        before, after, lost, gained = numbers(line(text, f"{table} "), table)
        assert before == after > 0
        assert lost == gained == 0
    assert "every row of every table is identical" in text
    assert exit.value.code == 0

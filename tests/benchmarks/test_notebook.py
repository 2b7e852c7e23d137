"""The schemes of the notebook: each is a channel of settings that differ from all others'."""

import pytest

from benchmarks import notebook
from models.pipeline.config import build_channel
from tasks import config


def test_every_scheme_is_a_channel_of_its_own() -> None:
    channels = {name: settings for name, (_, settings, _) in notebook.SCHEMES.items() if settings}
    loaded = config.load({"recall": {"channels": [*notebook.SCHEMES]}, "channels": channels})
    built = [build_channel(loaded, name).config.model_dump_json() for name in notebook.SCHEMES]
    assert len(set(built)) == len(built)


def test_it_prints_a_row_a_scheme(capsys: pytest.CaptureFixture[str]) -> None:
    notebook.main(["synthetic:0.02", "--schemes", "popular,item_cf"])
    rows = capsys.readouterr().out.splitlines()[-2:]
    assert [row.split("|")[2].strip() for row in rows] == ["`popular`", "`item_cf`"]
    assert rows[1].split("|")[4].strip() == "0.057"
    with pytest.raises(SystemExit):
        notebook.main(["synthetic:0.02", "--schemes", "magic"])

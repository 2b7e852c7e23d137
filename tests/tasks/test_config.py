"""The configuration: where settings come from, what wins, what is refused, and what is stored."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks import config as configuration
from tasks.commands import config as command
from tasks.config import Changes, Configuration, HourlyChanges
from tests.home import begin, write_home
from warehouse.errors import MatineeError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    return tmp_path


def write(home: Path, text: str) -> None:
    (home / "matinee.toml").write_text(text)


def refusal(overrides: dict[str, Any]) -> str:
    with pytest.raises(MatineeError) as caught:
        configuration.load(overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_set_wins_over_the_environment_the_environment_over_the_file_the_file_over_defaults(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert configuration.load().top_n == 50
    write(home, "top_n = 20\nseed = 3\n[releases]\nkeep = 4\n[rank]\nranker = 'din'\n")
    found = configuration.load()
    assert (found.top_n, found.seed, found.releases.keep, found.rank.ranker) == (20, 3, 4, "din")
    monkeypatch.setenv("MATINEE_KEEP_RELEASES", "6")
    assert configuration.load().releases.keep == 6
    found = configuration.load({"top_n": 7, "releases": {"keep": 8}})
    assert (found.top_n, found.seed, found.releases.keep) == (7, 3, 8)


def test_the_file_for_longer_nights_adds_to_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = configuration.load()
    monkeypatch.setenv("MATINEE_CONFIG", str(Path(__file__).parents[2] / "deploy" / "best.toml"))
    best = configuration.load()
    assert best.recall.channels == (*usual.recall.channels, "two_tower_wide")
    assert set(configuration.differing(usual, best)) > {"rank.folds", "rankers.gbdt.learning_rate"}


def test_a_part_of_a_section_leaves_the_rest_of_it_as_it_is_by_default() -> None:
    overrides = {"prerank": {"method": "gbdt", "sampling": {"max_targets": 3}}}
    found = configuration.load(overrides).prerank.sampling
    assert (found.max_targets, found.negative_rate) == (3, Configuration().prerank.sampling.negative_rate)


def test_another_method_leaves_behind_what_the_file_says_of_its_own(home: Path) -> None:
    write(home, "[prerank]\nmethod = 'three_tower'\nfolds = 5\n[prerank.settings]\nhidden = [8]\n")
    assert configuration.load({"prerank": {"pool": 900}}).prerank.folds == 5
    other = configuration.load({"prerank": {"method": "merged"}}).prerank
    assert (other.settings, other.folds) == ({}, Configuration().prerank.folds)


def test_another_file_is_named_by_a_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "top_n = 20")
    (home / "other.toml").write_text("top_n = 30")
    monkeypatch.setenv("MATINEE_CONFIG", str(home / "other.toml"))
    assert configuration.load().top_n == 30
    monkeypatch.setenv("MATINEE_CONFIG", str(home / "none.toml"))
    assert "none.toml" in refusal({})


def test_a_file_that_the_configuration_file_names_lies_beside_it(home: Path) -> None:
    write(home, "features = 'mine.toml'")
    assert configuration.load().features == home / "mine.toml"
    assert configuration.load({"features": "mine.toml"}).features == Path.cwd() / "mine.toml"
    write(home, "features = 3")
    assert "features" in refusal({})


def test_settings_at_any_depth_from_texts() -> None:
    parsed = configuration.parse_set(
        ["recall.channels=[popular,item_cf]", "rank.ranker=din", "top_n=5", "channels.swing.damping=0.5"]
    )
    assert parsed == {
        "recall": {"channels": ["popular", "item_cf"]},
        "rank": {"ranker": "din"},
        "top_n": 5,
        "channels": {"swing": {"damping": 0.5}},
    }


@pytest.mark.parametrize(
    "text", ["rank.ranker", "=din", ".x=1", "recall.channels=[popular", "features=2001-02-30"]
)
def test_a_text_that_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(MatineeError, match="--set"):
        configuration.parse_set([text])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"top_m": 5}, ("top_m", "did you mean top_n")),
        ({"top_n": -1}, ("top_n", "-1")),
        ({"top_n": "many"}, ("top_n: 'many' is not a valid integer",)),
        ({"objective": "bogus"}, ("objective", "choose from daily, visit, next")),
        ({"rank": {"rankr": "din"}}, ("rank.rankr", "ranker", "formula")),
        ({"rank": {"ranker": "dien"}}, ("rank.ranker", "dien", "din", "gbdt")),
        ({"exposure": {"source": "reported", "window_days": 1e6}}, ("exposure.window_days", "36525")),
        ({"rank": "din"}, ("rank is a section", "rank.ranker")),
        ({"rank": {"formula": "sum"}}, ("rank.formula", "weighted_sum", "reciprocal_rank")),
        ({"prerank": {"method": "four_tower"}}, ("prerank.method", "three_tower", "merged")),
        ({"recall": {"channels": ["popular", "svd"]}}, ("recall.channels", "svd", "swing")),
        ({"recall": {"channels": []}}, ("recall.channels",)),
        ({"recall": {"channels": ["popular", "popular"]}}, ("recall.channels", "popular is named twice")),
        ({"channels": {"mine": {"kind": "svd"}}}, ("channels.mine.kind", "svd", "swing")),
        ({"channels": {"mine": {"damping": 1}}}, ("channels.mine: a new channel needs a kind", "swing")),
        ({"channels": {"mine": {"kind": ["swing"]}}}, ("channels.mine.kind", "swing")),
        ({"channels": {"merged": {"kind": "swing"}}}, ("channels.merged", "taken")),
        ({"channels": {"ranking": {"kind": "swing"}}}, ("channels.ranking", "taken")),
        ({"channels": {"split": {"kind": "swing"}}}, ("channels.split", "taken")),
        ({"channels": {"../mine": {"kind": "swing"}}}, ("channels.../mine", "letters")),
        ({"rankers": {"my/din": {"kind": "din"}}}, ("rankers.my/din", "letters")),
        ({"channels": {"swing": {"dampin": 1}}}, ("channels.swing.dampin", "damping")),
        (
            {"channels": {"two_tower": {"loss": {"kind": "bpr"}}}},
            ("two_tower.loss.kind", "choose from bce"),
        ),
        ({"channels": {"two_tower": {"preset": "ease"}}}, ("preset", "dssm")),
        (
            {"channels": {"mf": {"trainer": {"kind": "bpr", "learning_rat": 1}}}},
            ("'channels.mf.trainer.learning_rat'", "did you mean learning_rate"),
        ),
        (
            {"channels": {"mf": {"trainer": {"kind": "bpr", "epochs": -1}}}},
            ("channels.mf.trainer.epochs: -1",),
        ),
        ({"rankers": {"din": {"hiden": [8]}}}, ("rankers.din.hiden", "hidden")),
        ({"rankers": {"mine": {"hidden": [8]}}}, ("rankers.mine: a new ranker needs a kind", "din")),
        ({"rankers": {"mine": {"kind": "dinn"}}}, ("rankers.mine.kind", "din")),
        ({"incremental": {"channel": "swing"}}, ("incremental.channel", "swing", "two_tower")),
        ({"explain": {"channel": "region"}}, ("explain.channel", "region")),
        ({"merge": {"newcomers": "segmnt"}}, ("merge.newcomers", "segment")),
        ({"prerank": {"settings": {"hidden": [4]}}}, ("prerank", "settings", "do nothing")),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_with_what_there_is(
    overrides: dict[str, Any], words: tuple[str, ...]
) -> None:
    message = refusal(overrides)
    for word in words:
        assert word in message, message


def test_a_broken_file_is_refused_by_its_name(home: Path) -> None:
    write(home, "top_n = = 3")
    assert "matinee.toml" in refusal({})
    write(home, "topn = 3")
    message = refusal({})
    assert "matinee.toml" in message
    assert "top_n" in message


def test_a_channel_may_be_there_twice_under_two_names() -> None:
    config = configuration.load(
        {
            "recall": {"channels": ["popular", "item_cf", "dssm_bce"]},
            "channels": {"dssm_bce": {"kind": "two_tower", "preset": "dssm", "loss": {"kind": "bce"}}},
        }
    )
    described = config.channels["dssm_bce"]
    assert described["kind"] == "two_tower"
    assert described["loss"]["kind"] == "bce"
    assert described["towers"]["user_id"] is True
    assert config.incremental.channel == "dssm_bce"


def test_the_seed_reaches_channels_unless_they_have_one_of_their_own() -> None:
    config = configuration.load({"seed": 5, "channels": {"deepwalk": {"walks": {"seed": 9}}}})
    assert config.channels["word2vec"]["training"]["seed"] == 5
    assert config.channels["deepwalk"]["walks"]["seed"] == 9
    assert config.channels["deepwalk"]["training"]["seed"] == 5


def test_the_seed_reaches_a_part_that_is_switched_on() -> None:
    described = {
        "preset": "sasrec",  # without first vectors
        "towers": {"history": ["mean"], "embedding_dim": 128, "tied": False},
        "training": {"first_vectors": {"embedding_dim": 128}},
    }
    config = configuration.load({"seed": 5, "channels": {"two_tower": described}})
    assert config.channels["two_tower"]["training"]["first_vectors"]["seed"] == 5
    described["training"] = {"first_vectors": {"embedding_dim": 128, "seed": 7}}
    config = configuration.load({"seed": 5, "channels": {"two_tower": described}})
    assert config.channels["two_tower"]["training"]["first_vectors"]["seed"] == 7


def test_what_is_stored_is_whole_and_reads_back_as_it_was() -> None:
    config = configuration.load({"recall": {"channels": ["ease_plain", "two_tower"]}})
    stored = configuration.stored(config)
    again = configuration.checked(Configuration.model_validate(stored))
    assert configuration.stored(again) == stored
    assert set(stored["channels"]) == {"ease_plain", "two_tower"}
    assert stored["channels"]["ease_plain"]["decay"] == "inf"
    assert stored["incremental"]["channel"] == "two_tower"


def test_an_hourly_run_may_change_retention_and_limits_and_nothing_else() -> None:
    parent = configuration.load({"top_n": 7, "gate": {"max_psi": 0.9}})
    changed = configuration.for_hourly(parent, {"releases": {"keep": 3}, "gate": {"min_users": 5}})
    assert (changed.top_n, changed.releases.keep) == (7, 3)
    # Limits are those of now, not of the release.
    assert (changed.gate.min_users, changed.gate.max_psi) == (5, configuration.load().gate.max_psi)
    with pytest.raises(MatineeError, match="top_n"):
        configuration.for_hourly(parent, {"top_n": 9})
    # So it is in the form of a run.
    assert HourlyChanges.model_validate({"releases": {"keep": 3}}).changes == {"releases": {"keep": 3}}
    with pytest.raises(ValidationError):
        HourlyChanges.model_validate({"top_n": 9})


def test_a_release_with_settings_of_another_version_is_refused_as_such(home: Path) -> None:
    write_home(home)
    run = begin(home)
    stored = configuration.stored(configuration.load())
    stored["channels"]["swing"]["strength"] = 2
    with pytest.raises(MatineeError, match=r"another version.*strength.*matinee nightly"):
        configuration.of(replace(run, config=stored))


def test_parameters_of_a_run_are_what_was_set_and_nothing_else() -> None:
    changes = Changes.model_validate({"rank": {"ranker": "din"}, "top_n": 50})
    assert changes.changes == {"rank": {"ranker": "din"}, "top_n": 50}
    assert Changes().model_dump(mode="json") == {}
    schema = Changes.model_json_schema()
    assert "Default: 50" in schema["properties"]["top_n"]["description"]
    assert "default" not in schema["properties"]["top_n"]


def test_every_setting_is_shown_with_its_origin_and_a_sentence(home: Path) -> None:
    write(home, "[rank]\nranker = 'din'\n")
    rows = {row["key"]: row for row in command.effective({"channels": {"swing": {"damping": 0.5}}})}
    assert rows["rank.ranker"]["origin"] == "matinee.toml"
    assert rows["channels.swing.damping"]["origin"] == "--set"
    assert rows["channels.swing.damping"]["value"] == 0.5
    assert rows["top_n"]["origin"] == "default"
    unexplained = [key for key, row in rows.items() if not row["about"].strip()]
    assert unexplained == []


def test_the_example_says_what_the_defaults_are() -> None:
    text = command.example()
    tomllib.loads(text)  # all commented out
    settings = [line.removeprefix("# ") for line in text.splitlines()]
    written = "\n".join(
        line
        for line in settings
        if line.startswith("[") or (" = " in line and not line.endswith("= "))
        if line.split(" = ")[0].replace("_", "").isalnum() or line.startswith("[")
    )
    changes = tomllib.loads(written)
    assert configuration.load(changes) == configuration.load()

"""Rankers by name with settings of one's own."""

import json

import pytest
from pydantic import ValidationError

from models.config import Config
from models.prerank.registry import PRE_RANKERS
from models.rank.gbdt import Gbdt
from models.rank.registry import RANKERS, build_ranker
from models.rank.trainer import Network, TrainerConfig
from tests.models.rank.small_rows import small_rows


def test_settings_reach_the_layers_and_the_training() -> None:
    settings = {"hidden": [8], "training": {"epochs": 1, "batch_size": 50}}
    built = build_ranker("din", settings)
    assert (built.kind, built.settings.hidden, built.settings.training.epochs) == ("din", (8,), 1)
    assert built.settings.embedding_dim == RANKERS["din"].settings.embedding_dim
    trained = built.fit(small_rows(100, 0), small_rows(100, 1), seed=0)
    assert isinstance(trained, Network)
    assert trained.module.out.in_features == 8
    with pytest.raises(ValueError, match="other sizes"):
        build_ranker("din").restore(trained.state)


def test_settings_reach_the_trees() -> None:
    built = build_ranker("gbdt", {"num_boost_round": 3, "num_leaves": 2, "min_data_in_leaf": 5})
    trained = built.fit(small_rows(400, 0), small_rows(400, 1), seed=0)
    assert isinstance(trained, Gbdt)
    trees = trained.booster.dump_model()["tree_info"]
    assert 1 <= len(trees) <= 3
    assert all(tree["num_leaves"] == 2 for tree in trees)


@pytest.mark.parametrize(
    ("kind", "settings", "field"),
    [
        ("din", {"hiden": [8]}, "hiden"),
        ("din", {"hidden": []}, "hidden"),
        ("din", {"hidden": [0]}, "hidden"),
        ("din", {"dropout": 1.0}, "dropout"),
        ("lr", {"hidden": [8]}, "hidden"),
        ("lr", {"training": {"learning_rate": 0}}, "training.learning_rate"),
        ("lr", {"training": {"monitor": "accuracy"}}, "training.monitor"),
        ("mmoe", {"n_experts": 0}, "n_experts"),
        ("gbdt", {"feature_fraction": 0}, "feature_fraction"),
        ("gbdt", {"num_leaves": 1}, "num_leaves"),
    ],
)
def test_impossible_settings_are_refused(kind: str, settings: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        build_ranker(kind, settings)
    assert ".".join(map(str, refused.value.errors()[0]["loc"])).startswith(field)


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="magic"):
        build_ranker("magic")


@pytest.mark.parametrize("name", sorted({**RANKERS, **PRE_RANKERS}))
def test_every_setting_is_described_and_every_network_says_how_it_is_trained(name: str) -> None:
    settings = {**RANKERS, **PRE_RANKERS}[name].settings
    assert name in ("gbdt", "bayesian_fm") or isinstance(settings.training, TrainerConfig)
    assert _undescribed(settings) == []
    # A configuration is stored as JSON.
    again = build_ranker(name, json.loads(settings.model_dump_json()), {**RANKERS, **PRE_RANKERS})
    assert again.settings == settings


def _undescribed(settings: Config) -> list[str]:
    fields = type(settings).model_fields
    nested = [getattr(settings, name) for name in fields if isinstance(getattr(settings, name), Config)]
    below = [name for part in nested for name in _undescribed(part)]
    return [name for name, field in fields.items() if not field.description] + below

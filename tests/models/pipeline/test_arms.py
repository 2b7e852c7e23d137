"""Who gets lists by which settings, and which experiments make no sense."""

from typing import Any

import numpy as np
import pytest

from models.pipeline import arms
from tasks import config as configuration
from warehouse.errors import MatineeError

Settings = dict[str, Any]

IDS = np.arange(1, 20_001)
MMR: Settings = {"rerank": {"method": "mmr", "diversity": 2.0}}
DIN: Settings = {"rank": {"ranker": "din"}}


def of_arms(layer: str | None = None, **overrides: Settings) -> Settings:
    """An experiment whose arms have a quarter of the users each."""
    found: Settings = {"arms": {name: {"fraction": 0.25, "overrides": of} for name, of in overrides.items()}}
    return found if layer is None else found | {"layer": layer}


def loaded(**experiments: Settings) -> configuration.Configuration:
    return configuration.load({"experiments": experiments})


@pytest.fixture(autouse=True)
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))


def test_without_experiments_there_is_one_variant_the_configuration_itself() -> None:
    config = configuration.load()
    assert arms.variants(config) == {"": config}
    assert set(arms.labels(config, IDS)) == {""}


def test_experiments_of_one_layer_exclude_each_other() -> None:
    config = loaded(one=of_arms("list", a={}, b=MMR), other=of_arms("list", a={}, c=DIN))
    assert set(arms.labels(config, IDS)) == {"one=a", "one=b", "other=a", "other=c"}
    assert arms.variants(config).keys() == {"", "one=a", "one=b", "other=a", "other=c"}


def test_experiments_of_two_layers_cross_and_their_settings_add_up() -> None:
    config = loaded(one=of_arms(a={}, b=MMR), other=of_arms(a={}, c=DIN))
    variants, labels = arms.variants(config), arms.labels(config, IDS)
    assert set(labels) == variants.keys()
    assert len(variants) == 9
    both = variants["one=b|other=c"]
    assert (both.rerank.method, both.rerank.diversity, both.rank.ranker) == ("mmr", 2.0, "din")
    assert both.rerank == variants["one=b"].rerank
    assert variants["one=a|other=a"] == config
    in_b, in_c = np.char.find(labels, "one=b") >= 0, np.char.find(labels, "other=c") >= 0
    assert (in_b & in_c).mean() == pytest.approx(1 / 16, abs=0.01)


def test_the_order_of_settings_does_not_matter() -> None:
    one, other = of_arms("list", a={}, b=MMR), of_arms("list", a={}, c=DIN)
    turned = {"arms": dict(reversed(one["arms"].items())), "layer": "list"}
    first, second = loaded(one=one, other=other), loaded(other=other, one=turned)
    assert (arms.labels(first, IDS) == arms.labels(second, IDS)).all()


def test_a_stage_that_learns_by_other_settings_has_a_name_of_its_own() -> None:
    config = loaded(one=of_arms(a={}, b=MMR), other=of_arms(a={}, c=DIN))
    names = {
        label: arms.state_name("ranking", config, of, "rank", "rankers")
        for label, of in arms.variants(config).items()
    }
    assert names[""] == names["one=b"] == names["other=a"] == "ranking"
    assert names["other=c"] == names["one=b|other=c"] != "ranking"


@pytest.mark.parametrize(
    ("experiments", "message"),
    [
        ({"x": {"arms": {"a": {"fraction": 0.5}}}}, "experiments.x.arms: "),
        (
            {"x": {"layers": "l", **of_arms(a={}, b=MMR)}},
            "no setting 'experiments.x.layers': did you mean layer?",
        ),
        ({"x": {"arms": {"a": {"fraction": 2}, "b": {"fraction": 0.5}}}}, "experiments.x.arms.a.fraction: 2"),
        ({"x": {"arms": {"a": {}, "b": {}}}}, "experiments.x.arms.a.fraction"),
        ({"x": of_arms(a={}, b={})}, "experiments.x: one arm, the control, has no overrides, not a and b"),
        ({"x": of_arms(a=DIN, b=MMR)}, "experiments.x: one arm, the control, has no overrides, not none"),
        (
            {"x": of_arms(a={}, b={"recall": {"candidates": 3}})},
            "x.arms.b.overrides: recall.candidates is the same",
        ),
        ({"x": of_arms(a={}, b={"rank": {"pool": 3}})}, "x.arms.b.overrides: rank.pool is the same for all"),
        (
            {"x": of_arms(a={}, b={"rerank": {"methods": "mmr"}})},
            "x.arms.b.rerank.methods': did you mean method?",
        ),
        (
            {"x": of_arms(a={}, b={"rerank": {"diversity": 1.0}})},
            "x.arms.b: rerank: diversity would do nothing",
        ),
        ({"x": of_arms(a={}, b={"rank": {"ranker": "dim"}})}, "x.arms.b: rank.ranker: unknown ranker 'dim'"),
        (
            {"x": of_arms(a={}, b={"rerank": {"method": "mmr", "pool": 400}})},
            "x.arms.b: ranking would leave 400 candidates, not 300: set rank.pool for all",
        ),
        (
            {"x": of_arms("l", a={}, b=MMR), "y": of_arms("l", a={}, b=DIN, c={"rank": {"ranker": "fm"}})},
            "fractions of layer l sum to 1.25, more than 1",
        ),
        (
            {"x": of_arms(a={}, b=MMR), "y": of_arms(a={}, b={"rerank": {"method": "dpp"}})},
            "layers x and y cross, and both set rerank.method: give their experiments one layer",
        ),
        ({"x y": of_arms(a={}, b=MMR)}, "'x y': a name is made of letters"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_one_line(experiments: Settings, message: str) -> None:
    with pytest.raises(MatineeError) as caught:
        loaded(**experiments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

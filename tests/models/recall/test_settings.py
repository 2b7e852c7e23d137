"""Settings of channels that make no sense are refused when they are made, not when a channel is fitted."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.recall.registry import build

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("popular", {"half_life": 0.0}),
        ("segment", {"half_life": -1.0}),
        ("segment", {"smoothing": 0.0}),
        ("region", {"smoothing": INFINITY}),
        ("new_items", {"novelty": 0.0}),
        ("attribute", {"decay": 0.0}),
        ("attribute", {"best": 0}),
        ("item_cf", {"n_neighbours": 0}),
        ("item_cf", {"shrinkage": -0.1}),
        ("swing", {"alpha": -1.0}),
        ("swing", {"decay": NAN}),
        ("user_cf", {"newest": 0}),
        ("user_cf", {"max_raters": 0}),
        ("swing", {"max_users": 1}),
        ("swing", {"max_overlap": 1}),
        ("swing", {"memory_gib": 0.0}),
        ("mf", {"trainer": {"l2": -1.0}}),
        ("mf", {"trainer": {"embedding_dim": 0}}),
        ("mf", {"trainer": {"alpha": 0.0}}),
        ("bpr", {"trainer": {"learning_rate": 0.0}}),
        ("lfm", {"trainer": {"epochs": 0}}),
        ("mf", {"use": "i2u"}),
        ("ease", {"l2": 0.0}),
        ("ease", {"decay": 0.0}),
        ("ease", {"n_weights": 0}),
        ("ease", {"memory_gib": 0.0}),
        ("ease", {"max_work": INFINITY}),
        ("sequential_linear", {"decays": ()}),
        ("sequential_linear", {"decays": (INFINITY,)}),
        ("sequential_linear", {"target_decay": 0.0}),
        ("word2vec", {"training": {"n_negatives": -1}}),
        ("word2vec", {"history": {"newest": 0}}),
        ("word2vec", {"history": {"decay": 0.0}}),
        ("word2vec", {"ann": {"efSearch": 0}}),
        ("word2vec", {"ann": {"metric": "euclidean"}}),
        ("deepwalk", {"training": {"window": 0}}),
        ("deepwalk", {"walks": {"length": 0}}),
        ("deepwalk", {"walks": {"rating_power": NAN}}),
        ("deep_retrieval", {"depth": 0}),
        ("deep_retrieval", {"batch_size": 0}),
        ("two_tower", {"negatives": {"hard": 1.5}}),
    ],
)
def test_values_out_of_bounds_are_refused(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        build(kind, settings=settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("popular", {"half_life": INFINITY}),
        ("mf", {"decay": INFINITY}),
        ("ease", {"decay": INFINITY}),
        ("item_cf", {"shrinkage": 0.0}),
        ("bpr", {"trainer": {"l2": 0.0}}),
        ("deepwalk", {"walks": {"half_life": INFINITY}}),
        ("two_tower", {"towers": {"decays": (3.0, INFINITY)}}),
    ],
)
def test_nothing_fades_at_an_infinite_decay_and_a_weight_may_be_zero(
    kind: str, settings: dict[str, Any]
) -> None:
    build(kind, settings=settings)

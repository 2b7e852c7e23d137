"""Every setting of every channel does something: another value changes what it recalls or publishes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from models.config import overlaid
from models.dataset import DAY, Queries, queries_at
from models.digest import feed
from models.recall.registry import CHANNELS, build, is_incremental, is_remembering
from tests.models.recall.small_logs import small_log
from tests.options.leaves import Case, Leaf, Settings, another, leaves, value_at

LOG = small_log(n_users=60, n_items=80)
OTHERS = np.setdiff1d(np.arange(LOG.n_events), LOG.indptr[1:] - 1)
"""All events but each user's newest."""

N = 10
"""Length of the lists that are compared."""

SMALL: dict[str, Settings] = {
    "two_tower": {
        "towers": {"embedding_dim": 4, "mean_hidden": 4},
        "negatives": {"uniform": 10},
        "training": {
            "first_vectors": None,
            "epochs": 2,
            "batch_tokens": 100,
            "learning_rate": 0.01,
            "warm_learning_rate": 0.01,
            "warm_id_learning_rate": 0.01,
        },
        "update": {"n_negatives": 10},
    },
    "deep_retrieval": {"depth": 2, "width": 4, "beam": 4, "embedding_dim": 4, "epochs": 2, "batch_size": 64},
    "word2vec": {"training": {"embedding_dim": 4}},
    "deepwalk": {"training": {"embedding_dim": 4}, "walks": {"per_node": 2, "length": 10}},
    "mf": {"trainer": {"embedding_dim": 4, "epochs": 2}},
}
"""Settings by which channels are fitted in no time."""

NO_TIES: Settings = {"towers": {"tied": False}}
FIRST_VECTORS: Settings = {"embedding_dim": 4, "epochs": 1}
BAGS = NO_TIES | {"training": {"first_vectors": FIRST_VECTORS}}
HASHED: Settings = {"towers": {"ids": "hashed", "shared_dim": 2}}
IN_BATCH = {"negatives": {"in_batch": 10}}
HARD = {"negatives": {"hard": 2, "hard_ranks": (2, 10)}}
ANN = {
    "ann.kind": Case(to="hnsw", given={"ann": {"M": 2, "efConstruction": 1, "efSearch": 1}}),
    "ann.metric": Case(),
    "ann.flat_up_to": Case(to=0, given={"ann": {"M": 2, "efConstruction": 1, "efSearch": 1}}),
    "ann.hnsw_up_to": Case(to=0, given={"ann": {"flat_up_to": 0}}),
    "ann.M": Case(to=2, given={"ann": {"kind": "hnsw", "efConstruction": 1, "efSearch": 1}}),
    "ann.efConstruction": Case(to=1, given={"ann": {"kind": "hnsw", "M": 2, "efSearch": 1}}),
    "ann.efSearch": Case(
        to=1, given={"n_neighbours": 1, "ann": {"kind": "hnsw", "M": 2, "efConstruction": 1}}
    ),
    "ann.nlist": Case(to=2, given={"ann": {"kind": "ivf"}}),
    "ann.nprobe": Case(to=9, given={"ann": {"kind": "ivf"}}),
    "ann.seed": Case(to=1, given={"ann": {"kind": "ivf"}}),
}

CLOSED_FORM = {
    "n_neighbours": Case(to=5),
    "n_weights": Case(to=5),
    "memory_gib": Case(to=1e-6),
    "max_work": Case(to=1.0),
}

CASES: dict[str, dict[str, Case]] = {
    "item_cf": {"n_neighbours": Case(to=5)},
    "swing": {
        "n_neighbours": Case(to=5),
        "max_users": Case(to=20),
        "max_overlap": Case(to=2),
        "memory_gib": Case(to=1e-6),
        "seed": Case(given={"max_users": 20}),
    },
    "user_cf": {
        "n_neighbours": Case(to=5),
        "max_raters": Case(to=10),
        "newest": Case(to=3),
        "neighbour_newest": Case(to=3),
        "seed": Case(given={"max_raters": 10}),
    },
    "attribute": {
        "best": Case(to=2),
        "favourites": Case(to=3),
        "n_neighbours": Case(to=1, given={"similar_weight": 0.5}),
    },
    "region": {
        "areas": Case(given={"smoothing": 10.0}),
        "prefixes": Case(to=(1, 2), given={"smoothing": 10.0}),
    },
    "cache": {"size": Case(to=5)},
    "fresh": {"best": Case(to=1)},
    "segment": {"first_days": Case(to=9.0)},
    "mf": ANN
    | {
        "trainer.kind": Case(to="bpr"),
        "n_neighbours": Case(to=5),
        "ann.efSearch": replace(
            ANN["ann.efSearch"], given=ANN["ann.efSearch"].given | {"trainer": {"embedding_dim": 32}}
        ),
    },
    "ease": CLOSED_FORM,
    "sequential_linear": CLOSED_FORM,
    "word2vec": ANN
    | {"warm_fraction": Case(to=0.5)}
    | {
        "training.max_tokens": Case(to=1),
        "ann.efSearch": replace(
            ANN["ann.efSearch"], given=ANN["ann.efSearch"].given | {"training": {"embedding_dim": 16}}
        ),
    },
    "deepwalk": ANN
    | {
        "warm_fraction": Case(to=0.5),
        "walks.half_life": Case(to=10.0),
        "ann.efSearch": replace(
            ANN["ann.efSearch"],
            given=ANN["ann.efSearch"].given | {"training": {"embedding_dim": 16, "epochs": 3}},
        ),
    },
    "deep_retrieval": {"assignment_pairs": Case(to=50), "penalty": Case(to=1.0)},
    "two_tower": ANN
    | {
        "ann.metric": Case(refused="must be inner_product"),
        "ann.efSearch": Case(
            to=1,
            given={"towers": {"embedding_dim": 64}, "ann": {"kind": "hnsw", "M": 2, "efConstruction": 2}},
        ),
        "towers.history": Case(to=("attention",), given={"towers": {"mean_hidden": 256}}),
        "towers.newest": Case(to=3),
        "towers.blocks": Case(given={"towers": {"history": ("mean", "causal")}}),
        "towers.heads": Case(given={"towers": {"history": ("mean", "causal")}}),
        "towers.tied": Case(to=True),
        "towers.ids": Case(given={"towers": {"embedding_dim": 32}}),
        "towers.item_rate": Case(given=HASHED),
        "towers.user_rate": Case(given={"towers": {"ids": "hashed", "shared_dim": 2, "user_id": True}}),
        "towers.own_rate": Case(given=HASHED),
        "towers.retire_after": Case(to=3.0, given=HASHED),
        "towers.shared_dim": Case(to=4, given=HASHED),
        "towers.hashes": Case(to=1, given=HASHED),
        "negatives.every_item_up_to": Case(to=20, given={"negatives": {"uniform": 0}}),
        "negatives.popularity_top": Case(to=3, given={"negatives": {"popularity": 10}}),
        "negatives.rare_below": Case(to=20, given={"negatives": {"rare": 10}}),
        "towers.crosses": Case(given={"towers": {"user_hidden": (4,)}}),
        "towers.augmented": Case(given={"towers": {"user_id": True}}),
        "loss.mimic": Case(given={"towers": {"user_id": True, "augmented": True}}),
        "negatives.correct_in_batch": Case(given=IN_BATCH),
        "negatives.gap_rate": Case(given=IN_BATCH),
        "negatives.hard": Case(given={"negatives": {"hard": 2, "hard_ranks": (2, 10)}}),
        "negatives.hard_source": Case(given=HARD),
        "negatives.hard_ranks": Case(to=(2, 10), given={"negatives": {"hard": 2, "hard_ranks": (20, 30)}}),
        "loss.margin": Case(given={"loss": {"kind": "hinge"}}),
        "training.epochs": Case(to=1),
        "training.clip_norm": Case(to=0.01),
        "training.recency": Case(to=5.0),
        "training.validation_users": Case(to=3),
        "training.patience": Case(
            to=5,
            given={"training": {"epochs": 12, "learning_rate": 0.05, "id_learning_rate": 2.0, "patience": 1}},
        ),
        "training.first_vectors": Case(to=FIRST_VECTORS, given=NO_TIES),
        "training.first_vectors.embedding_dim": Case(to=8, given=BAGS, refused="same embedding_dim"),
        "training.first_vectors.max_tokens": Case(
            to=1, given=NO_TIES | {"training": {"first_vectors": FIRST_VECTORS | {"epochs": 3}}}
        ),
        **{
            f"training.first_vectors.{name}": Case(given=BAGS)
            for name in ("n_negatives", "epochs", "learning_rate", "seed")
        },
        "update.max_shift": Case(to=1e-6),
        "training.precision": Case(given={"towers": {"embedding_dim": 32}}),
        "update.max_loss_rise": Case(to=0.0, given={"update": {"learning_rate": 0.2, "max_shift": 1e6}}),
    },
}
"""Settings whose other value is not to be guessed, or that need others beside them, by kind and key."""

OBSERVED = {
    "update": "update",
    "warm_fraction": "continued",
    "training.warm_": "warm",
    "negatives.hard_source": "warm",
    "towers.retire_after": "warm",
}
"""The outcome that is compared in place of the channel once it is fitted, by the beginning of the key."""

FIRST_OF_CLASS = {type(channel.settings): kind for kind, channel in reversed(CHANNELS.items())}
"""One kind of channel for each class of settings."""

LEAVES = [(kind, leaf) for kind in FIRST_OF_CLASS.values() for leaf in leaves(CHANNELS[kind].settings)]


def name_of(leaf: Leaf) -> str:
    kinds = [part["kind"] for part in leaf.given.values() if "kind" in part]
    return ".".join([leaf.key, *kinds])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("kind", "leaf"), LEAVES, ids=[f"channels.{kind}.{name_of(leaf)}" for kind, leaf in LEAVES]
)
def test_every_setting_of_a_channel_does_something(kind: str, leaf: Leaf) -> None:
    case = CASES.get(kind, {}).get(leaf.key, Case())
    given = overlaid(overlaid(SMALL.get(kind, {}), leaf.given), case.given)
    before = value_at(settings_of(kind, given), leaf.key)
    try:
        to = another(leaf, before) if case.to is None else case.to
    except LookupError:
        pytest.fail(f"{kind}.{leaf.key}: add another value of it to CASES in {__file__}")
    if leaf.key == "training.precision" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no products of bfloat16")
    changed = overlaid(given, leaf.at(to))
    if case.refused is not None:
        with pytest.raises(ValidationError, match=case.refused):
            settings_of(kind, changed)
        return
    see = next((what for begin, what in OBSERVED.items() if leaf.key.startswith(begin)), "fit")
    assert value_at(settings_of(kind, changed), leaf.key) != before
    assert outcome(kind, see, packed(changed)) != outcome(kind, see, packed(given)), (
        f"channels.{kind}.{leaf.key} = {to!r} in place of {before!r} changes no answer of the channel: "
        f"say in CASES in {__file__} beside which settings it does, or refuse it where it does nothing"
    )


@pytest.mark.parametrize("kind", CASES)
def test_what_is_listed_here_is_a_setting(kind: str) -> None:
    assert CASES[kind].keys() <= {leaf.key for other, leaf in LEAVES if other == kind}


@pytest.mark.parametrize("kind", sorted(FIRST_OF_CLASS.values()))
def test_the_same_settings_give_the_same_answers(kind: str) -> None:
    settings = packed(SMALL.get(kind, {}))
    for see in ("fit", "update", "warm") if is_incremental(kind) else ("fit",):
        assert outcome.__wrapped__(kind, see, settings) == outcome(kind, see, settings)


def settings_of(kind: str, settings: Mapping[str, Any]) -> Settings:
    found: Settings = build(kind, 0, settings).config.model_dump()
    return found


def packed(settings: Settings) -> str:
    return json.dumps(settings)


@cache
def outcome(kind: str, see: str, settings: str) -> str:
    """A hash of all that a fitted channel answers and publishes; of one that learns on after it did."""
    model = build(kind, 0, json.loads(settings))
    sha = hashlib.sha256()
    if see == "fit":
        model.fit(LOG)
        if is_remembering(kind):
            fill(model)
    elif see == "continued":
        earlier = build(kind, 0, json.loads(settings)).fit(
            LOG.where(np.isin(np.arange(LOG.n_events), OTHERS))
        )
        model.fit(LOG, earlier.state)
    elif see == "warm":
        rejected = np.tile(np.arange(70, 80, dtype=np.int32), (LOG.n_users, 1))
        fitted(kind, settings, model).warm(LOG, LOG.indptr[2:] - 1, rejected)
    else:
        report = fitted(kind, settings, model).update(LOG, LOG.indptr[2:] - 1)
        sha.update(str(report.drift is None).encode())
    feed(sha, *answers(model))
    return sha.hexdigest()


def fill(model: Any) -> None:
    """Earlier runs ranked some films for everybody."""
    for days in (40, 20, 10):
        films = np.tile(np.arange(days, days + 20, dtype=np.int32), (LOG.n_users, 1))
        model.push(films, LOG.as_of - days * DAY)
    model.evict(np.zeros(model.state["item"].shape, dtype=np.bool_), LOG.as_of)


def fitted(kind: str, settings: str, model: Any) -> Any:
    """The channel, having learned all but the newest events."""
    assert is_incremental(kind)
    return model.fit(LOG.where(np.isin(np.arange(LOG.n_events), OTHERS)))


def answers(model: Any) -> list[NDArray[np.generic]]:
    tables = model.tables()
    embeddings = [
        vectors for vectors in (tables.item_embeddings, tables.user_embeddings) if vectors is not None
    ]
    near = tables.item_similarity
    similar = [] if near is None else [near.item, near.score]
    lists = [model.recommend(queries, N) for queries in (queries_at(LOG), strangers())]
    return [*embeddings, *similar, *(part for found in lists for part in (found.item, found.score))]


def strangers() -> Queries:
    """Users whom the fit did not know, with the first half of somebody's history."""
    of_users = queries_at(LOG)
    nobody = np.full(len(of_users), -1, dtype=np.int32)
    return Queries(nobody, of_users.at, of_users.start, (of_users.start + of_users.end) // 2, LOG)

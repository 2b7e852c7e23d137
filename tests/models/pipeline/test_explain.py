"""The reason for a recommendation is the strongest watched film."""

import numpy as np

from models.candidates import Neighbours
from models.pipeline.explain import because
from tests.models.histories import queries_of

NOTHING = -np.inf
RECENCY = 5.0


def test_the_strongest_product_of_similarity_and_recency_explains() -> None:
    rng = np.random.default_rng(0)
    n_items, width = 15, 6
    neighbours = Neighbours(
        np.stack([rng.permutation(n_items)[:width] for _ in range(n_items)]).astype(np.int32),
        -np.sort(-rng.random((n_items, width)).astype(np.float32), axis=1),
    )
    history = rng.permutation(n_items)[:7].tolist()
    wanted = np.arange(n_items, dtype=np.int32)[None]
    found = because(wanted, queries_of([history], n_items), neighbours, RECENCY)[0]
    for item in range(n_items):
        strength = {}
        for age, watched in enumerate(reversed(history)):
            for near, score in zip(neighbours.item[watched], neighbours.score[watched], strict=True):
                if near == item:
                    strength[watched] = score * np.exp(-age / RECENCY)
        assert found[item] == max(strength, key=lambda w: strength[w], default=-1)


def test_without_history_or_neighbours_nothing_explains() -> None:
    nobody = Neighbours(np.full((3, 2), -1, np.int32), np.full((3, 2), NOTHING, np.float32))
    item = np.array([[1, -1], [0, 2]], dtype=np.int32)
    assert because(item, queries_of([[0], []], 3), nobody, RECENCY).tolist() == [[-1, -1], [-1, -1]]


def test_a_query_is_explained_alike_alone_and_among_others() -> None:
    rng = np.random.default_rng(3)
    n_items = 30
    near = np.argsort(rng.random((n_items, n_items)), axis=1)[:, :8].astype(np.int32)
    neighbours = Neighbours(near, -np.sort(-rng.random(near.shape).astype(np.float32), axis=1))
    histories = [rng.permutation(n_items)[: rng.integers(0, 12)].tolist() for _ in range(150)]
    wanted = np.argsort(rng.random((150, n_items)), axis=1)[:, :10].astype(np.int32)
    together = because(wanted, queries_of(histories, n_items), neighbours, RECENCY)
    for row, history in enumerate(histories):
        alone = because(wanted[row : row + 1], queries_of([history], n_items), neighbours, RECENCY)
        np.testing.assert_array_equal(together[row], alone[0])

"""Skip-gram against the closed form of its optimum, and against gensim."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from models.dataset import Ints, Longs
from models.embeddings.gensim import gensim_skip_gram
from models.embeddings.skip_gram import SkipGramConfig, TokenVectors, skip_gram


def sequences(token: list[list[int]]) -> tuple[Ints, Longs]:
    flat = np.array([one for sequence in token for one in sequence], dtype=np.int32)
    return flat, np.cumsum([0] + [len(sequence) for sequence in token]).astype(np.int64)


@pytest.mark.parametrize("window", [1, 3])
def test_logits_reach_the_optimum(window: int) -> None:
    """With as many dimensions as tokens, x_w . y_c tends to the log odds of the pair against noise.

    A pair at distance d is within reach with chance 1 - (d - 1) / window. Of k uniform noise tokens a pair,
    those equal to the target are skipped: token c is noise for w k / V times a pair of w with another target.
    """
    rng = np.random.default_rng(0)
    n, negatives = 4, 2
    log = [rng.choice(n, 6, p=[0.4, 0.3, 0.2, 0.1]).tolist() for _ in range(60)]
    config = SkipGramConfig(
        embedding_dim=8, window=window, n_negatives=negatives, epochs=800, learning_rate=0.1
    )
    vectors = skip_gram(*sequences(log), n, config)
    counts = np.zeros((n, n))
    for sequence in log:
        for (i, source), (j, target) in permutations(enumerate(sequence), 2):
            counts[source, target] += max(0, 1 - (abs(i - j) - 1) / window)
    noise = negatives / n * (counts.sum(axis=1, keepdims=True) - counts)
    assert counts.min() > 0
    assert_allclose(vectors.input @ vectors.output.T, np.log(counts / noise), atol=0.1)


def communities(rng: np.random.Generator) -> list[list[int]]:
    """Texts of 12 words, each from one of four groups of eight words, one in ten from anywhere."""
    group = rng.integers(0, 4, 400)
    words = group[:, None] * 8 + rng.integers(0, 8, (400, 12))
    words = np.where(rng.random(words.shape) < 0.1, rng.integers(0, 32, words.shape), words)
    return words.tolist()  # type: ignore[no-any-return]


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_similarities_agree_with_gensim() -> None:
    texts = communities(np.random.default_rng(0))
    config = SkipGramConfig(embedding_dim=8, epochs=30, learning_rate=0.05)
    ours = skip_gram(*sequences(texts), 32, config)
    theirs = cosines(gensim_skip_gram(*sequences(texts), 32, config).input)
    same_group = np.arange(32)[:, None] // 8 == np.arange(32) // 8
    off_diagonal = ~np.eye(32, dtype=bool)
    for similarity in (cosines(ours.input), theirs):
        assert similarity[same_group].min() > similarity[~same_group].max()
    assert np.corrcoef(cosines(ours.input)[off_diagonal], theirs[off_diagonal])[0, 1] > 0.9


def test_pairs_do_not_cross_sequences() -> None:
    """0 and 1 always adjoin in memory, never in a sequence."""
    vectors = skip_gram(*sequences([[2, 0], [1, 3]] * 50), 4, SkipGramConfig(epochs=10))
    across, within = vectors.output[[1, 2]] @ vectors.input[0]
    assert across < 0 < within


@pytest.mark.parametrize("train", [skip_gram, gensim_skip_gram])
def test_tokens_that_never_occur_have_no_vector(train: Callable[..., TokenVectors]) -> None:
    vectors = train(*sequences([[0, 3], [3, 0]]), 5, SkipGramConfig(embedding_dim=4))
    assert_array_equal(vectors.input.any(axis=1), [True, False, False, True, False])
    assert_array_equal(vectors.output.any(axis=1), [True, False, False, True, False])


def test_the_seed_decides() -> None:
    texts = sequences(communities(np.random.default_rng(0)))

    def vectors(seed: int) -> TokenVectors:
        return skip_gram(*texts, 32, SkipGramConfig(embedding_dim=8, epochs=1, seed=seed))

    assert_array_equal(vectors(1).output, vectors(1).output)
    assert (vectors(1).output != vectors(2).output).any()


def test_extreme_logits_stay_finite() -> None:
    vectors = skip_gram(*sequences([[0, 1]] * 200), 2, SkipGramConfig(learning_rate=50.0, epochs=20))
    assert np.isfinite(vectors.input).all()
    assert np.isfinite(vectors.output).all()

"""The backward-looking bag of words against a slow transcription and the closed form of its optimum."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from models.dataset import Ints, Longs
from models.embeddings.cbow import CbowConfig, cbow
from models.embeddings.retrieval import HistoryConfig


def sequences(token: list[list[int]]) -> tuple[Ints, Longs]:
    flat = np.array([one for sequence in token for one in sequence], dtype=np.int32)
    return flat, np.cumsum([0] + [len(sequence) for sequence in token]).astype(np.int64)


def texts(seed: int = 0, n: int = 5) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n, rng.integers(0, 9)).tolist() for _ in range(12)]


def test_steps_without_noise_follow_the_gradient() -> None:
    log, n, epochs = texts(), 5, 4
    history = HistoryConfig(newest=3, decay=0.7)
    config = CbowConfig(embedding_dim=6, n_negatives=0, epochs=epochs, learning_rate=0.5)
    before = cbow(*sequences(log), n, history, CbowConfig(embedding_dim=6, epochs=0))
    inputs, outputs = before.input.astype(float), before.output.astype(float)
    total = sum(map(len, log))
    for epoch in range(epochs):
        done = 0
        for text in log:
            for position in range(1, len(text)):
                rate = 0.5 * (1 - (epoch + (done + position) / total) / epochs)
                bag = text[max(0, position - 3) : position][::-1]
                weight = np.exp(-np.arange(len(bag)) / 0.7)
                weight /= weight.sum()
                mean = weight @ inputs[bag]
                push = rate * (1 - 1 / (1 + np.exp(-mean @ outputs[text[position]])))
                step = push * outputs[text[position]]
                outputs[text[position]] += push * mean
                for token, part in zip(bag, weight, strict=True):
                    inputs[token] += part * step
            done += len(text)
    after = cbow(*sequences(log), n, history, config)
    assert_allclose(after.input, inputs, atol=1e-5)
    assert_allclose(after.output, outputs, atol=1e-5)


def test_a_long_text_is_read_fewer_times_but_once() -> None:
    text = sequences(texts())
    length, history = len(text[0]), HistoryConfig(newest=3)
    for tokens, epochs in ((3 * length + 1, 3), (length - 1, 1), (100 * length, 5)):
        bounded = cbow(*text, 5, history, CbowConfig(embedding_dim=6, epochs=5, max_tokens=tokens))
        plain = cbow(*text, 5, history, CbowConfig(embedding_dim=6, epochs=epochs))
        assert_array_equal(bounded.input, plain.input)


def test_logits_of_single_items_reach_the_optimum() -> None:
    """With a history of one, x_w . y_c tends to the log odds of "c follows w" against noise.

    Of k uniform noise tokens a position, those equal to the target are skipped: token c is noise for w
    k / V times a position after w with another target.
    """
    rng = np.random.default_rng(0)
    n, negatives = 4, 2
    log = [rng.choice(n, 6, p=[0.4, 0.3, 0.2, 0.1]).tolist() for _ in range(60)]
    config = CbowConfig(embedding_dim=8, n_negatives=negatives, epochs=1500, learning_rate=0.1)
    vectors = cbow(*sequences(log), n, HistoryConfig(newest=1), config)
    counts = np.zeros((n, n))
    for text in log:
        np.add.at(counts, (text[:-1], text[1:]), 1)
    noise = negatives / n * (counts.sum(axis=1, keepdims=True) - counts)
    assert counts.min() > 0
    assert_allclose(vectors.input @ vectors.output.T, np.log(counts / noise), atol=0.1)


def test_tokens_that_never_occur_have_no_vector() -> None:
    vectors = cbow(*sequences([[0, 3], [3, 0]]), 5, HistoryConfig(), CbowConfig(embedding_dim=4))
    assert_array_equal(vectors.input.any(axis=1), [True, False, False, True, False])
    assert_array_equal(vectors.output.any(axis=1), [True, False, False, True, False])


def test_the_seed_decides() -> None:
    one, same, other = (
        cbow(*sequences(texts()), 5, HistoryConfig(), CbowConfig(embedding_dim=8, seed=seed))
        for seed in (1, 1, 2)
    )
    assert_array_equal(one.output, same.output)
    assert (one.output != other.output).any()


def test_extreme_logits_stay_finite() -> None:
    vectors = cbow(*sequences([[0, 1]] * 200), 2, HistoryConfig(), CbowConfig(learning_rate=50.0))
    assert np.isfinite(vectors.input).all()
    assert np.isfinite(vectors.output).all()

"""Samplers against the distributions they state, by chi-square at fixed seeds."""

import numpy as np
import pytest
from scipy.stats import chisquare

from models.two_tower.config import NegativesConfig
from models.two_tower.negatives import Frequencies, Sampler, draw_hard, seen_by, unseen
from tests.models.recall.small_logs import small_log

EVENTS = np.array([0, 40, 1, 7, 7, 300, 2, 90, 15, 0, 4])
OCCURRING = np.flatnonzero(EVENTS)


def frequencies_of(kind: str) -> np.ndarray:
    """The distribution that a kind of negatives states."""
    weight = {
        "uniform": EVENTS > 0,
        "popularity": EVENTS**0.75,
        "in_batch": EVENTS,
        "rare": (EVENTS > 0) & (EVENTS < 5),
    }[kind]
    return weight / weight.sum()


def assert_follows(drawn: np.ndarray, frequency: np.ndarray) -> None:
    count = np.bincount(drawn, minlength=len(frequency))
    assert count[frequency == 0].sum() == 0
    possible = frequency > 0
    assert chisquare(count[possible], len(drawn) * frequency[possible]).pvalue > 0.01


def targets(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(len(EVENTS), n, p=frequencies_of("in_batch"))


@pytest.mark.parametrize("kind", ["uniform", "popularity", "rare"])
def test_one_kind_alone(kind: str) -> None:
    rng = np.random.default_rng(0)
    sampler = Sampler(EVENTS, NegativesConfig(**{"uniform": 0, kind: 20_000}))
    shared = sampler.draw(targets(rng, 10), rng)
    assert_follows(shared.item, frequencies_of(kind))
    np.testing.assert_allclose(
        np.exp(shared.log_expected), 20_000 * frequencies_of(kind)[shared.item], rtol=1e-5
    )


def test_all_items_up_to_a_number_and_beyond_it_a_corrected_sample() -> None:
    rng = np.random.default_rng(7)
    everything = Sampler(EVENTS, NegativesConfig(uniform=0, every_item_up_to=9)).draw(OCCURRING, rng)
    np.testing.assert_array_equal(everything.item, OCCURRING)
    assert (everything.log_expected == 0).all()
    sampler = Sampler(EVENTS, NegativesConfig(uniform=0, every_item_up_to=8))
    drawn = [sampler.draw(OCCURRING, rng) for _ in range(2_000)]
    assert {len(shared.item) for shared in drawn} == {8}
    assert_follows(np.concatenate([shared.item for shared in drawn]), frequencies_of("uniform"))
    np.testing.assert_allclose(np.exp(drawn[0].log_expected), 8 * frequencies_of("uniform")[5], rtol=1e-5)


def test_in_batch_negatives_follow_the_targets_of_the_batch() -> None:
    rng = np.random.default_rng(1)
    sampler = Sampler(EVENTS, NegativesConfig(uniform=0, in_batch=20_000))
    batch = targets(rng, 60)
    drawn = sampler.draw(batch, rng).item
    assert_follows(drawn, np.bincount(batch, minlength=len(EVENTS)) / 60)


def test_a_mixture_holds_what_its_correction_says() -> None:
    rng = np.random.default_rng(2)
    counts = {"uniform": 30, "popularity": 20, "rare": 10, "in_batch": 50}
    sampler = Sampler(EVENTS, NegativesConfig(**counts, gap_rate=0.002))
    for _ in range(300):
        sampler.draw(targets(rng, 64), rng)
    drawn = [sampler.draw(targets(rng, 64), rng) for _ in range(200)]
    item = np.concatenate([shared.item for shared in drawn])
    mixed = sum(n * frequencies_of(kind) for kind, n in counts.items()) / sum(counts.values())
    assert_follows(item, mixed)
    expected = np.exp(np.concatenate([shared.log_expected for shared in drawn]))
    np.testing.assert_allclose(expected, sum(counts.values()) * mixed[item], rtol=0.25)


def test_rare_negatives_of_a_log_without_rare_items_are_uniform() -> None:
    rng = np.random.default_rng(3)
    sampler = Sampler(EVENTS, NegativesConfig(uniform=0, rare=20_000, rare_below=1))
    shared = sampler.draw(OCCURRING, rng)
    assert_follows(shared.item, frequencies_of("uniform"))
    np.testing.assert_allclose(np.exp(shared.log_expected), 20_000 / len(OCCURRING), rtol=1e-5)


def test_the_streaming_estimate_finds_the_frequencies_of_the_stream() -> None:
    rng = np.random.default_rng(3)
    frequencies = Frequencies(np.full(len(EVENTS), 11.0), rate=0.02)
    for _ in range(2_000):
        frequencies.observe(targets(rng, 50))
    np.testing.assert_allclose(frequencies.of(OCCURRING), frequencies_of("in_batch")[OCCURRING], rtol=0.3)
    copy = Frequencies(np.ones(len(EVENTS)), rate=0.02)
    copy.set_arrays(frequencies.arrays())
    for twin in (frequencies, copy):
        twin.observe(OCCURRING)
    np.testing.assert_array_equal(copy.of(OCCURRING), frequencies.of(OCCURRING))


def test_the_estimate_follows_a_stream_that_changes() -> None:
    frequencies = Frequencies(np.ones(3), rate=0.05)
    for _ in range(200):
        frequencies.observe(np.array([0, 0, 0, 1]))
    for _ in range(200):
        frequencies.observe(np.array([0, 1, 1, 1]))
    np.testing.assert_allclose(frequencies.of(np.array([0, 1])), [0.25, 0.75], rtol=0.05)


def test_hard_negatives_are_uniform_over_the_ranks_of_their_own_user() -> None:
    rng = np.random.default_rng(4)
    ranked = np.array([[5, 6, 7, 8], [1, 2, 3, -1], [-1, -1, -1, -1]], dtype=np.int32)
    user = np.tile([0, 1, 2], 4_000)
    drawn = draw_hard(ranked, user, 3, rng)
    assert drawn.shape == (12_000, 3)
    for row, expected in enumerate(([5, 6, 7, 8], [1, 2, 3], [-1])):
        values, count = np.unique(drawn[user == row], return_counts=True)
        assert values.tolist() == expected
        assert chisquare(count).pvalue > 0.01 or len(expected) == 1


def test_what_users_have_seen_is_marked() -> None:
    log = small_log()
    users, items = np.array([7, 0, 7, 3]), np.array([4, 4, 0, 9, 1])
    seen = [
        [item in log.item_idx[log.indptr[user] : log.indptr[user + 1]] for item in items] for user in users
    ]
    assert any(map(any, seen))
    np.testing.assert_array_equal(seen_by(users, items, log), seen)


def test_popularity_negatives_of_the_top_are_the_most_frequent_items() -> None:
    rng = np.random.default_rng(5)
    top = [5, 7, 1]
    sampler = Sampler(EVENTS, NegativesConfig(uniform=0, popularity=20_000, popularity_top=3))
    shared = sampler.draw(targets(rng, 10), rng)
    frequency = np.where(np.isin(np.arange(len(EVENTS)), top), EVENTS**0.75, 0)
    frequency /= frequency.sum()
    assert_follows(shared.item, frequency)
    np.testing.assert_allclose(np.exp(shared.log_expected), 20_000 * frequency[shared.item], rtol=1e-5)


def test_uncorrected_in_batch_negatives_count_as_uniform_ones() -> None:
    rng = np.random.default_rng(6)
    counts = {"uniform": 30, "popularity": 20, "in_batch": 50}
    sampler = Sampler(EVENTS, NegativesConfig(**counts, correct_in_batch=False))
    shared = sampler.draw(targets(rng, 64), rng)
    assert len(shared.item) == 100
    expected = 80 * frequencies_of("uniform") + 20 * frequencies_of("popularity")
    np.testing.assert_allclose(np.exp(shared.log_expected), expected[shared.item], rtol=1e-5)


def test_rejected_items_that_users_have_are_left_out() -> None:
    log = small_log()
    own = log.item_idx[log.indptr[3] : log.indptr[4]]
    others = np.setdiff1d(np.arange(log.n_items), own)
    ranked = np.full((log.n_users, 5), -1, dtype=np.int32)
    ranked[3] = [others[0], own[0], others[1], own[1], -1]
    found = unseen(ranked, log)
    assert found[3].tolist() == [others[0], others[1], -1, -1, -1]
    assert (np.delete(found, 3, axis=0) == -1).all()
    assert found.dtype == np.int32

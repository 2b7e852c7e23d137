"""Arms have the users that their fractions say, by a hash that is another one for each layer."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, kstest

from models.experiments.buckets import arm_numbers, uniform

N = 100_000
IDS = {
    "dense": np.arange(1, N + 1),
    "sparse": np.arange(N) * 1_000_003,
    "large": np.int64(2) ** 62 + np.arange(N) * 7,
}


def numbers(ids: np.ndarray, layer: str, fractions: list[float]) -> np.ndarray:
    return arm_numbers(ids, [f"{layer}/{n}" for n in range(len(fractions))], fractions, f"{layer}/")


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
@pytest.mark.parametrize("fractions", [[0.5, 0.5], [0.01, 0.2, 0.3], [1 / 3, 1 / 3, 1 / 3], [0.001]])
def test_arms_have_their_fractions_within_three_standard_errors(
    ids: np.ndarray, fractions: list[float]
) -> None:
    found = numbers(ids, "rank", fractions)
    expected = [*fractions, max(0.0, 1 - sum(fractions))]
    for number, fraction in zip([*range(len(fractions)), -1], expected, strict=True):
        error = np.sqrt(fraction * (1 - fraction) / N)
        assert abs((found == number).mean() - fraction) <= 3 * error + 1e-12


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_layers_are_independent(ids: np.ndarray) -> None:
    layers = [numbers(ids, layer, [0.2, 0.3, 0.1]) for layer in ("recall", "rank", "rerank")]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        table = np.zeros((4, 4))
        np.add.at(table, (layers[one], layers[other]), 1)
        assert chi2_contingency(table).pvalue > 0.01


def test_numbers_are_uniform_and_those_of_two_salts_uncorrelated() -> None:
    one, other = (uniform(IDS["dense"], salt) for salt in ("a", "b"))
    assert kstest(one, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 3 / np.sqrt(N)
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 3 / np.sqrt(N)


def test_who_is_in_an_arm_stays_while_all_arms_grow_alike() -> None:
    before = numbers(IDS["dense"], "rank", [0.01, 0.02])
    for growth in (5, 25, 100 / 3):
        after = numbers(IDS["dense"], "rank", [0.01 * growth, 0.02 * growth])
        assert (after[before >= 0] == before[before >= 0]).all()
        before = after


def test_the_order_in_which_arms_are_named_does_not_matter() -> None:
    ids, salts = IDS["dense"], ["x", "y", "z"]
    found = arm_numbers(ids, salts, [0.1, 0.2, 0.3], "")
    turned = arm_numbers(ids, salts[::-1], [0.3, 0.2, 0.1], "")
    assert (np.where(turned >= 0, 2 - turned, -1) == found).all()

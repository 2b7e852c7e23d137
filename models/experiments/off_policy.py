"""Off-policy estimates: the watched fraction of lists that were not shown, from exposures drawn at random.

An exposure has the propensity with which its film was drawn for its position. For a policy that puts it there
with probability pi it weighs w = pi / propensity, and with r = 1 if the film was watched

    IPS    mean(w r)                          unbiased (Horvitz & Thompson 1952)
    SNIPS  sum(w r) / sum(w)                  less variance (Swaminathan & Joachims 2015)
    DR     mean(q_pi + w (r - q))             less variance as far as q predicts r (Dudik, Langford & Li 2011)

where q is the predicted r of the exposure, q_pi that of what the policy would show. Exposures are summed by
user, who are the sample (``models.experiments.estimates``). https://arxiv.org/abs/1103.4601,
https://papers.nips.cc/paper/5748-the-self-normalized-estimator-for-counterfactual-learning
"""

from dataclasses import dataclass

import numpy as np

from models.dataset import Doubles, Longs
from models.experiments.estimates import Estimate, ratio


@dataclass(frozen=True)
class Logged:
    """N exposures with propensities."""

    user: Longs  # (N,) number of the user, from 0
    reward: Doubles  # (N,)
    weight: Doubles  # (N,) probability under the policy by the propensity

    @property
    def effective_size(self) -> float:
        """Number of exposures of equal weight that tell as much (Kish 1965)."""
        total = float(self.weight.sum())
        return total**2 / float((self.weight**2).sum()) if total else 0.0


def ips(logged: Logged) -> Estimate:
    """Inverse propensity scores."""
    return _by_user(logged.user, logged.weight * logged.reward, np.ones(len(logged.user)))


def snips(logged: Logged) -> Estimate:
    """Self-normalised inverse propensity scores."""
    return _by_user(logged.user, logged.weight * logged.reward, logged.weight)


def doubly_robust(logged: Logged, predicted: Doubles, predicted_of_policy: Doubles) -> Estimate:
    """With predicted rewards (N,) of each exposure, and of what the policy would have shown instead."""
    value = predicted_of_policy + logged.weight * (logged.reward - predicted)
    return _by_user(logged.user, value, np.ones(len(logged.user)))


def _by_user(user: Longs, numerator: Doubles, denominator: Doubles) -> Estimate:
    sums = (np.bincount(user, values).astype(np.float64) for values in (numerator, denominator))
    return ratio(*sums)

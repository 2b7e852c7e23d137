"""A memory of the last release in the scores of ranking: an exponential moving average over nights.

    score = (1 - m) score of tonight + m score of the release before

for users who did nothing since, whose lists would else change with every model that is trained anew. A mean
over the models of several nights is also less noisy than one of them (bagging, Breiman 1996).
"""

import numpy as np

from models.candidates import Candidates
from models.dataset import Floats, Ints
from models.rank.candidates import found_in


def averaged(score: Floats, earlier: Floats, weight: float) -> Floats:
    """(B, n) scores, averaged with ``earlier`` ones, which have this weight, where those are not nan."""
    mean = (1 - weight) * score + np.float32(weight) * earlier
    return np.where(np.isnan(earlier), score, mean).astype(np.float32)


def earlier_scores(item: Ints, before: Candidates, n_items: int) -> Floats:
    """(B, n) the scores that items (B, n) had before, nan where they had none or are padding.

    ``before`` (B, K) is padded with -1; a query without an earlier score has padding alone.
    """
    indptr = np.arange(len(item) + 1, dtype=np.int64) * item.shape[1]
    _, earlier = found_in(before, indptr, item.ravel(), n_items)
    return np.where(item >= 0, earlier.reshape(item.shape), np.float32(np.nan))

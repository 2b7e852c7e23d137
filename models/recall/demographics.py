"""What is known of users, with -1 wherever it is not."""

import numpy as np

from models.dataset import Dataset, Ints


def user_codes(dataset: Dataset, name: str, user_idx: Ints | None = None) -> Ints:
    """The attribute ``name`` of the users (all by default): codes, -1 where unknown.

    A user_idx of -1 and an attribute that the data set lacks are unknown too.
    """
    users = np.arange(dataset.n_users, dtype=np.int32) if user_idx is None else user_idx
    if name not in dataset.users:
        return np.full(len(users), -1, dtype=np.int32)
    codes = np.append(dataset.users[name], -1).astype(np.int32)  # user -1 reads the last place
    return codes[users]

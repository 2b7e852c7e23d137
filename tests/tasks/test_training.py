"""Under which key a training keeps its checkpoints."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.pipeline.channels import new_incremental
from tasks import config as configuration
from tasks.training import checkpoint_key
from tests.models.recall.small_logs import small_log


def key(log: Dataset, seed: int = 0) -> str:
    return checkpoint_key(log, new_incremental(configuration.load({"seed": seed}), "two_tower"))


def changed(columns: Mapping[str, NDArray[np.generic]], name: str) -> dict[str, NDArray[np.generic]]:
    """The columns with one value of one of them changed."""
    column = columns[name].copy()
    column[0] = ~column[0] if column.dtype == bool else column[0] + 1
    return {**columns, name: column}


def test_a_checkpoint_is_of_one_log_one_configuration_and_its_attributes() -> None:
    log = small_log()
    others = [
        replace(log, rating=log.rating[::-1].copy()),
        log.where(np.arange(log.n_events) > 0),
        replace(log, users={}),
        replace(log, users={**log.users, "age": log.users["gender"], "gender": log.users["age"]}),
        *(replace(log, users=changed(log.users, name)) for name in log.users),
        *(replace(log, items=changed(log.items, name)) for name in log.items),
    ]
    keys = {key(log), key(log, seed=1), *map(key, others)}
    assert len(keys) == 2 + len(others)
    reordered = {name: log.users[name] for name in reversed(log.users)}
    assert key(small_log()) == key(replace(log, users=reordered)) == key(log)

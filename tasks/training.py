"""Training of the channel that learns on: from scratch with checkpoints, or on from the parent run.

A full run keeps two states of it. The published one has learned the whole log. The *holdout model* has
learned all but the holdout and answers for it, so that merge and ranker are fitted on what it could not know.
"""

import hashlib
import logging
from dataclasses import replace
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from models.dataset import Dataset, rows_beyond
from models.digest import feed
from models.incremental import Checkpoint
from models.pipeline.channels import Fitter
from models.recall.contract import Incremental
from tasks import config as configuration
from tasks import data as run_data
from tasks import processes
from tasks.data import RunData, ranked_before
from tasks.states import HOLDOUT, load_grown
from warehouse.runs import checkpoints
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")


def from_scratch(data: RunData, channel: str) -> tuple[Incremental, Incremental]:
    """The holdout model, and one that then learned the holdout too."""
    fitter = _fitter(data, channel)
    return fitter.incremental_on(_before_holdout(data)), fitter.incremental_on(data.dataset)


def seen_before_holdout(data: RunData) -> Dataset:
    """The log that the holdout models of the parent learned from, by the indices of now."""
    before = run_data.encoded(data.parent)
    past = _before_holdout(before)
    users = before.vocabulary.user_positions(data.vocabulary)
    items = before.vocabulary.item_positions(data.vocabulary)
    user_idx, item_idx = users[past.user_idx], items[past.item_idx]
    n_users, n_items = len(data.vocabulary.user_ids), len(data.vocabulary.item_ids)
    return replace(past, user_idx=user_idx, item_idx=item_idx, n_users=n_users, n_items=n_items)


def holdout_moved_back(data: RunData, seen: Dataset) -> bool:
    """True if the old models have learned what they are to answer now, because of late events of long ago."""
    return bool(len(rows_beyond(seen, _before_holdout(data))))


def from_parent(data: RunData, channel: str) -> tuple[Incremental, Incremental]:
    """Both models of the parent, each having learned what is new to it."""
    past, seen = _before_holdout(data), seen_before_holdout(data)
    rejected = ranked_before(data, published=False)
    if holdout_moved_back(data, seen):
        holdout_model = _fitter(data, channel).incremental_on(past)
    else:
        missed = rows_beyond(past, seen)
        holdout_model = load_grown(data, f"{HOLDOUT}/{channel}", channel)
        # Without what was rejected: films that were watched during the holdout are missing from it.
        holdout_model = holdout_model.catch_up(past, missed).warm(past, missed)
    # What the hours learned since then went on from the parent too: it is learned again.
    model = load_grown(data, channel, channel)
    new = data.new_events
    return holdout_model, model.catch_up(data.dataset, new).warm(data.dataset, new, rejected)


def train(run: Run, channel: str, model: Incremental, log: Dataset) -> Incremental:
    """The model, trained from scratch or on from the checkpoint of a killed training."""
    key = checkpoint_key(log, model)
    found = checkpoints.read(run.home, key)
    if found is not None:
        logger.info("%s: going on from the checkpoint that a killed training left", channel)
    callback = CheckpointCallback(run, channel, key, model.n_epochs(log))
    resume = None if found is None else Checkpoint.from_arrays(found)
    n = configuration.of(run).engine.training_processes
    model = processes.fit(model, log, n, callback, resume)
    checkpoints.forget(run.home, key)
    return model


class CheckpointCallback:
    """Keeps a checkpoint of every epoch, and shows it in the terminal and in Prefect's UI."""

    def __init__(self, run: Run, channel: str, key: str, epochs: int) -> None:
        self.home, self.channel, self.key, self.epochs = run.home, channel, key, epochs
        self.artifact = create_progress_artifact(0.0, key="training", description=f"Training of {channel}")

    def __call__(self, checkpoint: Checkpoint) -> None:
        checkpoints.write(self.home, self.key, checkpoint.to_arrays())
        loss, metric = checkpoint.curve[-1]
        logger.info(
            "%-22s epoch %d of %d, loss %.4f, validation NDCG@10 %.4f",
            f"train {self.channel}",
            checkpoint.epoch,
            self.epochs,
            loss,
            metric,
        )
        if isinstance(self.artifact, UUID):
            update_progress_artifact(self.artifact, 100.0 * checkpoint.epoch / self.epochs)


def checkpoint_key(log: Dataset, model: Incremental) -> str:
    """A hash of all that a training depends on."""
    sha = hashlib.sha256(repr((model.config, log.n_users, log.n_items)).encode())
    feed(sha, log.user_idx, log.item_idx, log.rating, log.at)
    for attributes in (log.users, log.items):
        sha.update(repr(sorted(attributes)).encode())
        feed(sha, *(attributes[name] for name in sorted(attributes)))
    return sha.hexdigest()[:16]


def _fitter(data: RunData, channel: str) -> Fitter:
    return Fitter(data.config, lambda model, log: train(data.run, channel, model, log))


def _before_holdout(data: RunData) -> Dataset:
    return data.dataset if data.holdout is None else data.holdout.train

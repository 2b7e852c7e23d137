"""Training by several processes of this machine: each learns from its part of every batch, all take one step.

Data parallelism (Li et al., "PyTorch Distributed", VLDB 2020, https://arxiv.org/abs/2006.15704): each process
has all weights and the same random batches. Gradients are added up before each step, those of ID tables as
the rows that were read, so that what travels does not grow with the tables. What several processes learn
differs from what one does by rounding, dropout and the negatives that each draws for itself.
"""

import multiprocessing
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.dataset import Dataset
from models.incremental import Checkpoint, CheckpointCallback
from models.recall.contract import Incremental
from tasks.data import EVENT
from warehouse.errors import MatineeError

if TYPE_CHECKING:
    from torch.multiprocessing.spawn import ProcessContext

POLL = 0.05
"""Seconds between two looks at processes that send nothing."""


class Job(NamedTuple):
    """A training, as it is sent to a process."""

    folder: Path
    """Columns of the log, a file each that the processes map, and the file by which they find each other."""
    model: Incremental
    log: Dataset
    """The log without its events."""
    resume: Checkpoint | None
    threads: int


def fit(
    model: Incremental,
    log: Dataset,
    processes: int,
    checkpoint_callback: CheckpointCallback | None = None,
    resume: Checkpoint | None = None,
) -> Incremental:
    """The model, trained from scratch by so many processes, which divide its threads; 1 is this process.

    Raises:
        MatineeError: one of the processes was lost.
        FloatingPointError: the training diverged.
    """
    if processes == 1:
        return model.fit(log, checkpoint_callback, resume)
    import torch

    threads = max(1, torch.get_num_threads() // processes)
    with tempfile.TemporaryDirectory(prefix="matinee-training-") as name:
        folder = Path(name)
        for column in EVENT:
            np.save(folder / f"{column}.npy", getattr(log, column))
        nothing: dict[str, Any] = {column: getattr(log, column)[:0] for column in EVENT}
        job = Job(folder, model, replace(log, **nothing), resume, threads)
        # Closed at once where somebody raises: processes that nobody listens to do not go on.
        with closing(_messages(job, processes)) as messages:
            for message in messages:
                if isinstance(message, Exception):
                    raise message
                if not isinstance(message, Checkpoint):
                    model.state = message
                elif checkpoint_callback is not None:
                    checkpoint_callback(message)
    return model


def _messages(job: Job, processes: int) -> Generator[Any]:
    """All that the first process sends: checkpoints, then the state; or an error."""
    from torch.multiprocessing.spawn import ProcessExitedException

    receiver, sender = multiprocessing.Pipe(duplex=False)
    with _started(job, processes, sender) as started:
        ended = False
        while not ended:
            try:
                ended = started.join(POLL)
            except ProcessExitedException as error:
                raise MatineeError(
                    f"a process that trained the towers was lost ({error.signal_name or error.exit_code}; "
                    "out of memory?): run the same command again, which goes on after the last whole epoch"
                ) from error
            while receiver.poll():
                yield receiver.recv()


@contextmanager
def _started(job: Job, processes: int, sender: Connection) -> Iterator["ProcessContext"]:
    """The processes of a training; those that still run at the end are stopped."""
    from torch.multiprocessing.spawn import start_processes

    started = start_processes(  # type: ignore[no-untyped-call]
        _work, (job, processes, sender), processes, join=False, start_method="spawn"
    )
    try:
        yield started
    finally:
        for process in started.processes:
            process.terminate()
            process.join()


def _work(rank: int, job: Job, processes: int, sender: Connection) -> None:
    """One of the processes; the first sends what they learn."""
    import numba
    import torch
    from torch import distributed

    from models.two_tower.replica import Replica

    torch.set_num_threads(job.threads)
    numba.set_num_threads(min(job.threads, numba.get_num_threads()))
    store = f"file://{job.folder / 'rendezvous'}"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=processes)
    columns = {column: np.load(job.folder / f"{column}.npy", mmap_mode="r") for column in EVENT}
    log, callback = replace(job.log, **columns), sender.send if rank == 0 else None
    try:
        message: Any = job.model.fit(log, callback, job.resume, replica=Replica(rank, processes)).state
    except (FloatingPointError, ValueError) as error:
        message = error
    if rank == 0:
        sender.send(message)
    distributed.destroy_process_group()

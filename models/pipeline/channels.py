"""Fitting channels: each anew on every log, but for the one that learns on from smaller to larger ones."""

from collections.abc import Callable
from typing import Any

from models.dataset import Dataset, rows_beyond
from models.pipeline.config import PipelineConfig, build_channel, incremental_channel
from models.recall.contract import Incremental, Recaller
from models.sampling import cap_active_users

Training = Callable[[Incremental, Dataset], Incremental]
"""A way to fit an incremental channel from scratch, e.g. with checkpoints."""


def fit_channel(config: PipelineConfig, name: str, log: Dataset) -> Recaller:
    """A channel that learned from the log, of more active users from a sample of their ratings."""
    return build_channel(config, name).fit(cap_active_users(log, config.recall.max_user_events, config.seed))


def new_incremental(config: PipelineConfig, name: str) -> Incremental:
    """A channel that learns on and has learned nothing yet."""
    channel: Any = build_channel(config, name)
    incremental: Incremental = channel
    return incremental


class Fitter:
    """Fits channels on one log after the other; the incremental one continues, as from night to night."""

    def __init__(self, config: PipelineConfig, train: Training | None = None) -> None:
        self.config = config
        self.incremental = incremental_channel(config)
        self.train = train or (lambda channel, log: channel.fit(log))
        self.last: tuple[Dataset, Incremental] | None = None

    def fitted(self, name: str, log: Dataset) -> Recaller:
        """The channel, fitted on the log and on nothing else.

        The incremental one learns from scratch, or from the last log on if this one has all of its events.
        """
        if name == self.incremental:
            return self.incremental_on(log)
        return fit_channel(self.config, name, log)

    def incremental_on(self, log: Dataset) -> Incremental:
        """The channel that learns on, having learned the log and nothing else.

        Raises:
            ValueError: no channel does.
        """
        if self.incremental is None:
            raise ValueError("none of recall.channels learns on")
        if self.last is None or len(rows_beyond(self.last[0], log)):
            channel = self.train(new_incremental(self.config, self.incremental), log)
        else:
            earlier, before = self.last
            channel = before.copy().warm(log, rows_beyond(log, earlier))
        self.last = log, channel
        return channel

"""Fitting channels: each anew on every log, but for the one that learns on from smaller to larger ones."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from models.dataset import Dataset, rows_beyond
from models.pipeline.config import PipelineConfig, build_channel, channel_settings, incremental_channel
from models.recall.contract import Incremental, Recaller, fit_settings
from models.recall.registry import CHANNELS, is_remembering
from models.sampling import cap_active_users
from models.state import State

Training = Callable[[Incremental, Dataset], Incremental]
"""A way to fit an incremental channel from scratch, e.g. with checkpoints."""


def capped(config: PipelineConfig, log: Dataset) -> Dataset:
    """The log that channels learn from: of more active users a sample of their ratings."""
    return cap_active_users(log, config.recall.max_user_events, config.seed)


def fit_channel(config: PipelineConfig, name: str, log: Dataset, before: State | None = None) -> Recaller:
    """A channel that learned from a log, which is ``capped``; from what it learned before, where it can."""
    if before is None:
        return build_channel(config, name).fit(log)
    continued: Any = build_channel(config, name)
    fitted: Recaller = continued.fit(log, before)
    return fitted


def rows_of_state(config: PipelineConfig, name: str) -> Mapping[str, Literal["user", "item"]]:
    """The side that rows of a state stand for, if a training can start from it; empty if none can."""
    kind, _ = channel_settings(config, name)
    return CHANNELS[kind].rows


def trains_alike(config: PipelineConfig, before: PipelineConfig, name: str) -> bool:
    """True if another configuration trains the channel by the same settings."""
    if name not in before.recall.channels:
        return False
    return fit_settings(build_channel(config, name)) == fit_settings(build_channel(before, name))


def fits_at_once(config: PipelineConfig, name: str) -> int:
    """Fits of a channel, to different logs, that are best made at once."""
    kind, _ = channel_settings(config, name)
    return 2 if CHANNELS[kind].one_thread else 1


def remembers(config: PipelineConfig, name: str) -> bool:
    """True for a channel that holds what earlier runs ranked."""
    return is_remembering(channel_settings(config, name)[0])


def with_state(config: PipelineConfig, name: str, state: State) -> Recaller:
    """A channel that has learned already."""
    channel = build_channel(config, name)
    channel.state = state
    return channel


def fitted_alike(config: PipelineConfig, name: str) -> str:
    """The first of the recalling channels that learns the same as this one, which may be itself."""
    if name == incremental_channel(config):
        return name
    mine = fit_settings(build_channel(config, name))
    others = (other for other in config.recall.channels if other != incremental_channel(config))
    return next((other for other in others if fit_settings(build_channel(config, other)) == mine), name)


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
        self.capped: tuple[Dataset, Dataset] | None = None
        """The newest log, and what channels learn from of it."""
        self.states: dict[str, State] = {}
        """States that channels have of the newest log, by the name of the first that has it."""

    def fitted(self, name: str, log: Dataset) -> Recaller:
        """The channel, fitted on the log and on nothing else.

        The incremental one learns from scratch, or from the last log on if this one has all of its events.
        """
        if name == self.incremental:
            return self.incremental_on(log)
        if self.capped is None or self.capped[0] is not log:
            self.capped, self.states = (log, capped(self.config, log)), {}
        first = fitted_alike(self.config, name)
        if first not in self.states:
            self.states[first] = fit_channel(self.config, first, self.capped[1]).state
        return with_state(self.config, name, self.states[first])

    def incremental_on(self, log: Dataset) -> Incremental:
        """The channel that learns on, having learned the log and nothing else.

        Raises:
            ValueError: no channel does.
        """
        if self.incremental is None:
            raise ValueError("none of recall.channels learns on")
        if self.last is not None and self.last[0] is log:
            return self.last[1]
        if self.last is None or len(rows_beyond(self.last[0], log)):
            channel = self.train(new_incremental(self.config, self.incremental), log)
        else:
            earlier, before = self.last
            channel = before.copy().warm(log, rows_beyond(log, earlier))
        self.last = log, channel
        return channel

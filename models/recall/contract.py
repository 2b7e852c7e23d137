"""The protocols of recall channels (candidate generation): all recommend, some also learn on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from models.candidates import Candidates, Neighbours
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Queries
from models.incremental import Checkpoint, CheckpointCallback, UpdateReport
from models.state import State

if TYPE_CHECKING:
    from models.two_tower.replica import Replica


@dataclass(frozen=True)
class Tables:
    """Tables that a channel publishes for people to query; None where it has no such thing."""

    item_similarity: Neighbours | None = None
    item_embeddings: Floats | None = None  # (I, D)
    user_embeddings: Floats | None = None  # (U, D)


def fit_settings(channel: "Recaller") -> tuple[type, dict[str, Any]]:
    """Class and settings of a channel that decide what ``fit`` learns: with equal ones a state is shared.

    A config names in ``only_answers`` those of its settings that ``fit`` does not read; none by default.
    """
    only_answers: frozenset[str] = getattr(type(channel.config), "only_answers", frozenset())
    return type(channel), channel.config.model_dump(exclude=set(only_answers))


class Recaller(Protocol):
    """A recall channel: fitted once on a log, then asked for candidates for any later history.

    ``state`` holds all that ``fit`` learned; a fresh instance of the same config given that state answers
    the same. Randomness enters by a seed in the config: the same log gives the same state.
    """

    config: Any
    state: State

    def fit(self, dataset: Dataset) -> Self:
        """Learn from the log; sets ``state``."""
        ...

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        """At most n candidates a query, without the items of its history unless ``filter_seen`` is off.

        A channel that has nothing for a query returns only padding; the merge fills up.
        """
        ...

    def tables(self) -> Tables:
        """The similarities and embeddings worth publishing."""
        ...


class Rater(Recaller, Protocol):
    """A recall channel that also predicts ratings."""

    def ratings(self, queries: Queries, query: Longs, item: Ints) -> Doubles:
        """(N,) the rating that the user of a query would give an item, on the scale of the log, of each pair.

        ``query`` (N,) are the numbers of the pairs' queries, ``item`` (N,) their items.

        Raises:
            ValueError: with these settings it learns no ratings.
        """
        ...


class Continued(Recaller, Protocol):
    """A recall channel whose training can start from the state of an earlier log, and is then shorter."""

    def fit(self, dataset: Dataset, before: State | None = None) -> Self:
        """Learn from the log; ``before`` has the rows of its users and items, zeros for new ones."""
        ...


class Incremental(Recaller, Protocol):
    """A recall channel that learns on from its state: from night to night, and from every hour.

    ``rejected`` (U, K), padded with -1, are items that an earlier run ranked for each user and did not
    publish; a channel without a use for them ignores them.
    """

    def n_epochs(self, dataset: Dataset) -> int:
        """Largest number of epochs of a training from scratch on this log, for a display of its progress."""
        ...

    def fit(
        self,
        dataset: Dataset,
        checkpoint_callback: CheckpointCallback | None = None,
        resume: Checkpoint | None = None,
        rejected: Ints | None = None,
        replica: "Replica | None" = None,
    ) -> Self:
        """Train from scratch; ``resume`` goes on from a checkpoint of the same log, config and ``rejected``.

        A resumed training ends in the same bits as one that was never interrupted. A ``replica`` is one of
        several processes that train the same model.
        """
        ...

    def warm(self, dataset: Dataset, rows: Longs, rejected: Ints | None = None) -> Self:
        """Train on from the state: all parameters, over some rows of the log and some replayed ones."""
        ...

    def catch_up(self, dataset: Dataset, rows: Longs) -> Self:
        """Learn some rows of the log as one update after the other would have, hour by hour."""
        ...

    def update(self, dataset: Dataset, rows: Longs) -> UpdateReport:
        """Learn some rows of the log in the order of time, and report whether that can be trusted."""
        ...

    def grow(self, users: Ints, items: Ints, n_users: int, n_items: int) -> Self:
        """Take the state over to a larger vocabulary: user (item) u is now ``users[u]`` of ``n_users``.

        Known users get the answers they got before.
        """
        ...

    def copy(self) -> Self:
        """Another channel of the same config and state, which learns on by itself."""
        ...

    def user_vectors(self, queries: Queries) -> Floats:
        """(B, D) vectors whose inner products with the published ``item_embeddings`` are the scores."""
        ...

    def nearest(self, users: Floats, items: Floats, queries: Queries, n: int) -> Candidates:
        """The candidates of queries whose vectors (B, D), as those of the items (I, D), are given."""
        ...

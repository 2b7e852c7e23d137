"""The rankers by name: a new one is one file and one line here, and the contract tests run over it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from models.config import Config, configured
from models.rank.contract import Ranker, Trained
from models.rank.rows import Rows
from models.registry import Registry
from models.state import State

RANKERS: Registry[Ranker] = Registry(
    {
        "lr": "models.rank.lr:RANKER",
        "fm": "models.rank.fm:RANKER",
        "deep": "models.rank.deep:RANKER",
        "wide_deep": "models.rank.wide_deep:RANKER",
        "deepfm": "models.rank.deepfm:RANKER",
        "dcn": "models.rank.dcn:RANKER",
        "dcn_v2": "models.rank.dcn_v2:RANKER",
        "din": "models.rank.din:RANKER",
        "bst": "models.rank.bst:RANKER",
        "ppnet": "models.rank.ppnet:RANKER",
        "fibinet": "models.rank.fibinet:RANKER",
        "shared_bottom": "models.rank.shared_bottom:RANKER",
        "mmoe": "models.rank.mmoe:RANKER",
        "ple": "models.rank.ple:RANKER",
        "gbdt": "models.rank.gbdt:RANKER",
        "bayesian_fm": "models.rank.bayesian_fm:RANKER",
    }
)
"""All rankers. Most are networks, and torch takes longer to import than many a command takes."""


@dataclass(frozen=True)
class BuiltRanker:
    """A ranker with its settings, yet to be trained."""

    kind: str
    """Name in the registry."""
    settings: Config
    """Settings of its kind."""
    ranker: Ranker
    """Training and rebuilding of its kind."""

    def fit(self, train: Rows, validation: Rows, seed: int) -> Trained:
        """Train it; training stops by the validation rows.

        Raises:
            FloatingPointError: the training diverged.
        """
        try:
            return self.ranker.fit(train, validation, seed, self.settings)
        except FloatingPointError as error:
            raise FloatingPointError(f"ranker {self.kind}: {error}") from None

    def restore(self, state: State) -> Trained:
        """The trained ranker that had this state.

        Raises:
            ValueError: it was trained with other settings.
        """
        return self.ranker.restore(state, self.settings)


def build_ranker(
    kind: str,
    settings: Mapping[str, Any] = MappingProxyType({}),
    registry: Mapping[str, Ranker] = RANKERS,
) -> BuiltRanker:
    """A ranker of the registry; ``settings`` change those of its kind, at any depth.

    Raises:
        KeyError: there is no such kind.
        pydantic.ValidationError: a setting is misspelt, of another type or out of range.
    """
    ranker = registry[kind]
    return BuiltRanker(kind, configured(ranker.settings, settings), ranker)

"""The rankers by name: a new one is one file and one line here, and the contract tests run over it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import nn

from models.config import Config, configured
from models.features.schema import FeatureSchema
from models.rank.bayesian_fm import BayesianFMConfig, fit_bayesian_fm, restore_bayesian_fm
from models.rank.bst import BST, BSTConfig
from models.rank.contract import Trained
from models.rank.dcn import DCN, DCNConfig
from models.rank.dcn_v2 import DCNv2, DCNv2Config
from models.rank.deep import Deep, DeepConfig
from models.rank.deepfm import DeepFM, DeepFMConfig
from models.rank.din import DIN, DINConfig
from models.rank.fibinet import FiBiNET, FiBiNETConfig
from models.rank.fm import FM, FMConfig
from models.rank.gbdt import GbdtConfig, fit_gbdt, restore_gbdt
from models.rank.lr import LR, LRConfig
from models.rank.mmoe import MMoE, MMoEConfig
from models.rank.ple import PLE, PLEConfig
from models.rank.ppnet import PPNet, PPNetConfig
from models.rank.rows import Rows
from models.rank.shared_bottom import SharedBottom, SharedBottomConfig
from models.rank.trainer import Build, fit_network, restore_network
from models.rank.wide_deep import WideDeep, WideDeepConfig
from models.state import State


@dataclass(frozen=True)
class Ranker:
    """A kind of ranker."""

    fit: Callable[[Rows, Rows, int, Any], Trained]
    """Trains on rows; others tell it when to stop. Then the seed and the settings: same seed, same result."""
    restore: Callable[[State, Any], Trained]
    """Rebuilds it from its state and its settings; it answers the same."""
    settings: Config
    """Settings unless a configuration says otherwise."""
    network: Callable[[FeatureSchema, int, Any], nn.Module] | None = None
    """Makes an untrained network from schema, number of tasks and settings; None for what is no network."""
    most_tasks: int | None = 1
    """Tasks that it learns at most, the main task first; None for all of them."""
    stops_early: bool = True
    """Training stops by the validation rows; otherwise they are read by nothing."""


def single_task(network: Callable[[FeatureSchema, Any], nn.Module], settings: Config) -> Ranker:
    """A network that learns the main task alone: (B, 1) logits of a batch."""
    return _network(lambda schema, n_tasks, config: network(schema, config), settings, most_tasks=1)


def multi_task(network: Callable[[FeatureSchema, int, Any], nn.Module], settings: Config) -> Ranker:
    """A network that learns T tasks together: (B, T) logits of a batch."""
    return _network(network, settings, most_tasks=None)


def _network(
    network: Callable[[FeatureSchema, int, Any], nn.Module], settings: Config, most_tasks: int | None
) -> Ranker:
    def build(config: Any) -> Build:
        return lambda schema, n_tasks: network(schema, n_tasks, config)

    def fit(train: Rows, validation: Rows, seed: int, config: Any) -> Trained:
        tasks = train.tasks[:most_tasks]
        return fit_network(build(config), tasks, train, validation, seed, config.training)

    def restore(state: State, config: Any) -> Trained:
        return restore_network(build(config), state)

    return Ranker(fit, restore, settings, network, most_tasks)


RANKERS: dict[str, Ranker] = {
    "lr": single_task(LR, LRConfig()),
    "fm": single_task(FM, FMConfig()),
    "deep": single_task(Deep, DeepConfig()),
    "wide_deep": single_task(WideDeep, WideDeepConfig()),
    "deepfm": single_task(DeepFM, DeepFMConfig()),
    "dcn": single_task(DCN, DCNConfig()),
    "dcn_v2": single_task(DCNv2, DCNv2Config()),
    "din": single_task(DIN, DINConfig()),
    "bst": single_task(BST, BSTConfig()),
    "ppnet": single_task(PPNet, PPNetConfig()),
    "fibinet": single_task(FiBiNET, FiBiNETConfig()),
    "shared_bottom": multi_task(SharedBottom, SharedBottomConfig()),
    "mmoe": multi_task(MMoE, MMoEConfig()),
    "ple": multi_task(PLE, PLEConfig()),
    "gbdt": Ranker(fit_gbdt, restore_gbdt, GbdtConfig()),
    "bayesian_fm": Ranker(fit_bayesian_fm, restore_bayesian_fm, BayesianFMConfig(), stops_early=False),
}
"""All rankers."""


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
    registry: Mapping[str, Ranker] = MappingProxyType(RANKERS),
) -> BuiltRanker:
    """A ranker of the registry; ``settings`` change those of its kind, at any depth.

    Raises:
        KeyError: there is no such kind.
        pydantic.ValidationError: a setting is misspelt, of another type or out of range.
    """
    ranker = registry[kind]
    return BuiltRanker(kind, configured(ranker.settings, settings), ranker)

"""The rankers by name: a new one is one file and one line here, and the contract tests run over it."""

from collections.abc import Callable

from torch import nn

from models.features.schema import FeatureSchema
from models.rank.contract import Ranker, Trained
from models.rank.dcn import DCN
from models.rank.dcn_v2 import DCNv2
from models.rank.deep import Deep
from models.rank.deepfm import DeepFM
from models.rank.din import DIN
from models.rank.fibinet import FiBiNET
from models.rank.fm import FM
from models.rank.gbdt import fit_gbdt, restore_gbdt
from models.rank.lr import LR
from models.rank.mmoe import MMoE
from models.rank.ple import PLE
from models.rank.ppnet import PPNet
from models.rank.rows import Rows
from models.rank.shared_bottom import SharedBottom
from models.rank.trainer import fit_network, restore_network
from models.rank.wide_deep import WideDeep
from models.state import State

SINGLE_TASK: dict[str, Callable[[FeatureSchema], nn.Module]] = {
    "lr": LR,
    "fm": FM,
    "deep": Deep,
    "wide_deep": WideDeep,
    "deepfm": DeepFM,
    "dcn": DCN,
    "dcn_v2": DCNv2,
    "din": DIN,
    "ppnet": PPNet,
    "fibinet": FiBiNET,
}
"""Networks that learn the main task alone: (B, 1) logits of a batch."""

MULTI_TASK: dict[str, Callable[[FeatureSchema, int], nn.Module]] = {
    "shared_bottom": SharedBottom,
    "mmoe": MMoE,
    "ple": PLE,
}
"""Networks that learn T tasks together: (B, T) logits."""


def _single(build: Callable[[FeatureSchema], nn.Module]) -> Ranker:
    return _network(lambda schema, tasks: build(schema), 1)


def _network(build: Callable[[FeatureSchema, int], nn.Module], tasks: int | None = None) -> Ranker:
    return Ranker(
        fit=lambda train, validation, seed: fit_network(build, train.tasks[:tasks], train, validation, seed),
        restore=lambda state: restore_network(build, state),
    )


RANKERS: dict[str, Ranker] = {
    **{name: _single(build) for name, build in SINGLE_TASK.items()},
    **{name: _network(build) for name, build in MULTI_TASK.items()},
    "gbdt": Ranker(fit_gbdt, restore_gbdt),
}
"""All of them."""


def fit_ranker(name: str, train: Rows, validation: Rows, seed: int = 0) -> Trained:
    """Train a ranker; training stops by the validation rows."""
    return RANKERS[name].fit(train, validation, seed)


def restore_ranker(name: str, state: State) -> Trained:
    """The trained ranker that had this state."""
    return RANKERS[name].restore(state)

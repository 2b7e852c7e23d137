"""The pre-rankers by name: rankers that are cheap enough for a thousand candidates a user."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from models.prerank.pre_ranker import fit_pre_ranker, restore_pre_ranker
from models.prerank.three_tower import ThreeTowerConfig
from models.rank.registry import RANKERS, BuiltRanker, Ranker, build_ranker

PRE_RANKERS: dict[str, Ranker] = {
    "three_tower": Ranker(fit_pre_ranker, restore_pre_ranker, ThreeTowerConfig()),
    "two_tower": Ranker(fit_pre_ranker, restore_pre_ranker, ThreeTowerConfig(cross=())),
    "gbdt": RANKERS["gbdt"],
}
"""All pre-rankers; the merged list itself is the alternative that needs none."""


def build_pre_ranker(kind: str, settings: Mapping[str, Any] = MappingProxyType({})) -> BuiltRanker:
    """A pre-ranker of the registry; ``settings`` change those of its kind, at any depth.

    Raises:
        KeyError: there is no such kind.
        pydantic.ValidationError: a setting is misspelt, of another type or out of range.
    """
    return build_ranker(kind, settings, PRE_RANKERS)

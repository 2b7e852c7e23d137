"""The pre-rankers by name: rankers that are cheap enough for a thousand candidates a user."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from models.rank.contract import Ranker
from models.rank.registry import BuiltRanker, build_ranker
from models.registry import Registry

PRE_RANKERS: Registry[Ranker] = Registry(
    {
        "three_tower": "models.prerank.pre_ranker:THREE_TOWER",
        "two_tower": "models.prerank.pre_ranker:TWO_TOWER",
        "gbdt": "models.rank.gbdt:RANKER",
    }
)
"""All pre-rankers; the merged list itself is the alternative that needs none."""


def build_pre_ranker(kind: str, settings: Mapping[str, Any] = MappingProxyType({})) -> BuiltRanker:
    """A pre-ranker of the registry; ``settings`` change those of its kind, at any depth.

    Raises:
        KeyError: there is no such kind.
        pydantic.ValidationError: a setting is misspelt, of another type or out of range.
    """
    return build_ranker(kind, settings, PRE_RANKERS)

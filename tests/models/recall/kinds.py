"""The channels that contracts are tested of: all of the registry, and one of them with hashed ids."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from models.config import overlaid
from models.recall import registry

HASHED = "dssm_hashed"
"""A channel whose tables of users and of items are both hashed."""

KINDS = sorted([*registry.CHANNELS, HASHED])

INCREMENTAL = [name for name in KINDS if name == HASHED or registry.is_incremental(name)]


def build(name: str, seed: int = 0, settings: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """A channel of some settings that is yet to be fitted."""
    if name != HASHED:
        return registry.build(name, seed, settings)
    # Of fifty items and users a fraction would leave nothing to tell them apart by.
    hashed = {"towers": {"ids": "hashed", "item_rate": 0.9, "user_rate": 0.9}}
    return registry.build("dssm", seed, overlaid(hashed, settings))

"""Registries whose entries may be named by where they are, and are imported when they are first asked for."""

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

T = TypeVar("T")


class Registry(UserDict[str, T]):
    """Entries by name, each as it is or as ``module:attribute``."""

    data: dict[str, Any]

    def __init__(self, entries: Mapping[str, T | str] = MappingProxyType({})) -> None:
        super().__init__()
        self.data.update(entries)

    def __getitem__(self, name: str) -> T:
        entry = self.data[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self.data[name] = getattr(import_module(module), attribute)
        found: T = entry
        return found

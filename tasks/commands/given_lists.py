"""Lists that somebody else made, measured on a protocol: models by the names of their files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from models.candidates import Candidates
from models.encoding import Vocabulary
from models.evaluation.given import Answered, GivenLists, answer
from models.evaluation.split import Split
from models.pipeline.offline import ModelLists
from tasks.commands.answer import Answer
from warehouse import given_lists
from warehouse.errors import MatineeError

STAGE = "lists"
"""The stage of such models."""

Given = Mapping[str, pl.DataFrame]
"""Rows of ``warehouse.given_lists.read`` by the name of a model."""


def read(files: Sequence[Path], taken: Sequence[str]) -> Given:
    """The lists in files, by name; the names ``taken`` are those of other models.

    Raises:
        MatineeError: a file cannot be read, is not one list a user, or has a name that is taken.
    """
    found: dict[str, pl.DataFrame] = {}
    for file in files:
        if file.stem in (*taken, *found):
            raise MatineeError(f"{file}: there is a model named {file.stem}; give the file another name")
        found[file.stem] = given_lists.read(file)
    return found


def measure(
    given: Given, splits: Sequence[Split], vocabulary: Vocabulary, ks: Sequence[int]
) -> tuple[list[list[ModelLists]], list[Answer]]:
    """The models of each split, and by model how much of what was given answers nothing.

    Raises:
        MatineeError: a window is none of the protocol's, nothing answers its queries, or lists are shorter
            than every k.
    """
    models: list[list[ModelLists]] = [[] for _ in splits]
    unused = []
    for name, rows in given.items():
        found = [answer(_of_window(name, rows, split, splits), split, vocabulary) for split in splits]
        width = max(one.lists.n for one in found)
        if not width:
            raise MatineeError(
                f"{name}: no row has a user and a film of {splits[0].protocol}; are these its ids?"
            )
        if width < min(ks):
            raise MatineeError(f"{name}: lists of {width} films are shorter than every --k: name --k {width}")
        for of_split, one in zip(models, found, strict=True):
            of_split.append(ModelLists(STAGE, name, _of_width(one.lists, width), seconds=0.0))
        unused.append({"model": name} | _counts(found))
    return models, unused


def _of_window(name: str, rows: pl.DataFrame, split: Split, splits: Sequence[Split]) -> GivenLists:
    windows = [str(one.window) for one in splits if one.window is not None]
    strange = [window for window in rows["window"].drop_nulls().unique().sort() if window not in windows]
    if strange:
        choice = f"its windows are {', '.join(windows)}" if windows else "it has one: leave the column out"
        raise MatineeError(f"{name}: {split.protocol} has no window {strange[0]}; {choice}")
    of_window = pl.col("window").is_null() | (pl.col("window") == str(split.window))
    part = rows.filter(of_window)
    return GivenLists(part["user_id"].to_numpy(), part["item_id"].to_numpy())


def _of_width(lists: Candidates, width: int) -> Candidates:
    more = [(0, 0), (0, width - lists.n)]
    item = np.pad(lists.item, more, constant_values=-1)
    return Candidates(item, np.pad(lists.score, more, constant_values=-np.inf))


def _counts(found: Sequence[Answered]) -> dict[str, int]:
    """The counts of all windows together."""
    names = ("rows", "unknown_users", "unknown_items", "seen", "n_queries", "unanswered")
    return {name: sum(getattr(one, name) for one in found) for name in names}

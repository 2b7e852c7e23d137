"""Encoding: values to the inputs of models, by the kind of each feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.dataset import Dataset, Doubles, Floats, Ints, Mask
from models.features.declare import HASHED, Declaration
from models.features.extract import Raw, attribute, expand
from models.features.schema import Column, Columns, Feature, FeatureSchema, Kind
from models.features.words import WordVectors
from models.state import State, named


@dataclass(frozen=True)
class Encoder:
    """Encodes values as inputs, those of later rows in the same way as those of the training rows."""

    features: tuple[tuple[str, Declaration], ...]
    schema: FeatureSchema
    mean: Doubles  # (F,) subtracted from numbers; nan for all else
    scale: Doubles  # (F,) numbers are divided by
    words: Mapping[str, WordVectors] = field(default_factory=dict)
    """The vectors of the words of each feature of TF-IDF."""
    codes: Mapping[str, Ints] = field(default_factory=dict)
    """By side, user (U,) and item (I,): the index that each had in training, -1 for a new one.

    Without a side, its indices are what they were.
    """

    def encode(self, raw: Raw) -> tuple[Columns, Columns, Columns]:
        """Encoded columns of queries, items and pairs, as Rows has them."""
        queries, items, pairs = (
            {
                name: self._encode(number, part[name])
                for number, (name, _) in enumerate(self.features)
                if name in part
            }
            for part in (raw.queries, raw.items, raw.pairs)
        )
        return queries, items, pairs

    def _encode(self, number: int, values: Column) -> Column:
        declared = self.features[number][1]
        if _is_number(declared):
            numbers = _numbers(declared, values, self.words.get(self.features[number][0]))
            scaled = (numbers - self.mean[number]) / self.scale[number]
            return np.where(np.isnan(scaled), 0, scaled).astype(np.float32)
        size = self.schema.features[number].size
        if declared.kind == "multi_hot":
            if declared.what in HASHED:
                return _hashed_columns(values, size)
            # Later columns came after training.
            return np.maximum(values.reshape(len(values), -1)[:, :size], 0).astype(np.float32)
        side = _side_of_indices(declared)
        if side in self.codes:
            values = np.append(self.codes[side], -1)[values]
        missing = _missing(values)
        if declared.what in HASHED:
            return np.where(missing, 0, values % (size - 1) + 1).astype(np.int32)
        if declared.edges:
            return np.where(missing, 0, np.digitize(values, declared.edges) + 1).astype(np.int32)
        codes = np.where(missing, 0, values + 1).astype(np.int32)
        return np.where(codes < size, codes, 0)


def fit_encoder(declared: Sequence[Declaration], lists: Sequence[str], raw: Raw, log: Dataset) -> Encoder:
    """The encoder with the means and deviations of the rows, and the sizes of the log."""
    features = tuple(expand(declared, lists))
    mean, scale = np.full(len(features), np.nan), np.ones(len(features))
    words = {
        name: WordVectors.fit(raw.column(name), feature.size or 1)
        for name, feature in features
        if feature.kind == "tfidf"
    }
    for number, (name, feature) in enumerate(features):
        if _is_number(feature):
            values = _numbers(feature, raw.column(name), words.get(name))
            finite = values[np.isfinite(values)]
            mean[number] = finite.mean() if len(finite) else 0.0
            scale[number] = finite.std() or 1.0 if len(finite) else 1.0
    return Encoder(features, declared_schema(declared, lists, log), mean, scale, words)


def encoder_state(encoder: Encoder) -> State:
    """All that an encoder learned, by name."""
    state: State = {"mean": encoder.mean, "scale": encoder.scale}
    for name, words in encoder.words.items():
        state |= {f"words.{name}.{key}": value for key, value in words.state.items()}
    return state


def restored_encoder(
    features: tuple[tuple[str, Declaration], ...],
    schema: FeatureSchema,
    state: State,
    codes: Mapping[str, Ints],
) -> Encoder:
    """The encoder that had this state; ``codes`` are those of ``Encoder``."""
    words = {
        name: WordVectors.of(named(state, f"words.{name}."))
        for name, feature in features
        if feature.kind == "tfidf"
    }
    return Encoder(features, schema, state["mean"], state["scale"], words, codes)


def declared_schema(declared: Sequence[Declaration], lists: Sequence[str], log: Dataset) -> FeatureSchema:
    """The features as models read them, with the sizes of the log."""
    return FeatureSchema(tuple(_feature(name, feature, log) for name, feature in expand(declared, lists)))


def encoder_of_codes(declared: Sequence[Declaration], schema: FeatureSchema) -> Encoder:
    """An encoder of features none of which is a number, so that there is nothing to fit."""
    features = tuple(expand(declared, ()))
    return Encoder(features, schema, np.full(len(features), np.nan), np.ones(len(features)))


def coverage(raw: Raw) -> dict[str, float]:
    """The fraction of rows that have each feature."""
    return {
        name: float(_has_value(values).mean()) if len(values) else 0.0
        for part in (raw.queries, raw.items, raw.pairs)
        for name, values in part.items()
    }


def _feature(name: str, declared: Declaration, log: Dataset) -> Feature:
    # To models a feature of a channel is one of a pair.
    side = "cross" if declared.side == "channel" else declared.side
    kind, size = _kind_and_size(declared, log)
    return Feature(name, side, kind, size, declared.embedding)


def _kind_and_size(declared: Declaration, log: Dataset) -> tuple[Kind, int]:
    if _is_number(declared):
        return "numeric", declared.size or 1
    if declared.kind == "bucketed":
        return "categorical", len(declared.edges) + 2
    if declared.kind == "sequence":
        return "sequence", len(declared.edges) + 2 if declared.edges else declared.size or log.n_items + 1
    if declared.kind == "multi_hot" and declared.size:
        return "multi_hot", declared.size
    if declared.what == "top_genres":
        return "multi_hot", attribute("genres", log.items, log.n_items).reshape(log.n_items, -1).shape[1]
    of_log, n = (log.users, log.n_users) if declared.side == "user" else (log.items, log.n_items)
    if declared.kind == "multi_hot":
        return "multi_hot", attribute(declared.what, of_log, n).reshape(n, -1).shape[1]
    return "categorical", declared.size or int(attribute(declared.what, of_log, n).max(initial=-1)) + 2


def _side_of_indices(declared: Declaration) -> str:
    """The side whose indices its codes are, if they are indices."""
    if declared.what == "newest_items":
        return "item"
    return declared.side if declared.what == "index" else ""


def _hashed_columns(hashes: Column, size: int) -> Floats:
    """(N, size) 1 in the column of each hash of a row (N, W), padded with -1."""
    columns = np.zeros((len(hashes), size), dtype=np.float32)
    row, position = np.nonzero(hashes >= 0)
    columns[row, hashes[row, position] % size] = 1
    return columns


def _is_number(declared: Declaration) -> bool:
    return declared.kind in ("numeric", "log", "tfidf")


def _numbers(declared: Declaration, values: Column, words: WordVectors | None) -> Doubles:
    """Numbers on the scale that they are standardised on, missing ones replaced where a default says so."""
    if words is not None:
        return words.vectors(values).astype(np.float64)
    numbers = np.where(_missing(values), np.nan, values).astype(np.float64)
    if declared.default is not None:
        numbers = np.where(np.isnan(numbers), declared.default, numbers)
    return np.sign(numbers) * np.log1p(np.abs(numbers)) if declared.kind == "log" else numbers


def _missing(values: Column) -> Mask:
    """True for the values that are missing: nan, or the code -1."""
    missing: Mask = np.isnan(values) if np.issubdtype(values.dtype, np.floating) else values == -1
    return missing


def _has_value(values: Column) -> Mask:
    """True for the rows that have a value, or at least one of a list."""
    has_value = values if values.dtype == np.bool_ else ~_missing(values)
    return np.asarray(has_value.reshape(len(has_value), -1).any(axis=1))

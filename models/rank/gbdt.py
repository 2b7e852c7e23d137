"""Gradient-boosted trees on the log odds of the main task (LightGBM), also of labels between 0 and 1.

Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree" (NeurIPS 2017). Codes are read as
numbers, since ids grow with the catalogue and neighbours have much in common; sequences are not read.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from models.bounds import NonNegative, Positive, PositiveFraction
from models.config import Config
from models.dataset import Floats, Longs
from models.features.schema import FeatureSchema
from models.rank.contract import Ranker
from models.rank.rows import Rows, check_features, check_training
from models.rank.trees import Forest, compiled
from models.state import State, pack_text, unpack_text

if TYPE_CHECKING:  # 0.5 s to import, which answers of trees do without
    import lightgbm as lgb

BLOCK = 1 << 17
"""Rows whose features are gathered at once: 50 MB for a hundred of them."""


class GbdtConfig(Config):
    """Trees and how they are grown; the names are LightGBM's."""

    num_boost_round: PositiveInt = 400
    """Maximum number of trees."""
    early_stopping_round: PositiveInt = 15
    """Trees without a better log loss on the validation rows, after which growing stops."""
    learning_rate: Positive = 0.1
    """Factor that each tree's values are shrunk by."""
    num_leaves: Annotated[int, Field(ge=2)] = 31
    """Maximum number of leaves of a tree."""
    min_data_in_leaf: PositiveInt = 100
    """Minimum number of rows in a leaf."""
    feature_fraction: PositiveFraction = 0.4
    """Fraction of the features that each tree may use."""
    bagging_fraction: PositiveFraction = 0.7
    """Fraction of the rows that each tree is grown on."""
    lambda_l2: NonNegative = 1.0
    """Penalty of the squared leaf values."""
    max_bin: Annotated[int, Field(ge=2)] = 63
    """Maximum number of distinct values that a feature is reduced to."""


@dataclass(frozen=True)
class Gbdt:
    """Trained trees: a ranker as in :class:`models.rank.contract.Trained`."""

    text: str
    """The trees in LightGBM's own text."""
    schema: FeatureSchema
    tasks: tuple[str, ...]

    @cached_property
    def forest(self) -> Forest:
        """The trees, compiled."""
        return compiled(self.text)

    @cached_property
    def booster(self) -> "lgb.Booster":
        """The trees as LightGBM has them."""
        import lightgbm as lgb

        return lgb.Booster(model_str=self.text)

    @property
    def state(self) -> State:
        """LightGBM's own text, ``schema`` and ``tasks`` as JSON."""
        texts = {
            "model": self.text,
            "schema": self.schema.to_json(),
            "tasks": json.dumps(self.tasks),
        }
        return {name: pack_text(text) for name, text in texts.items()}

    def logits(self, rows: Rows) -> Floats:
        """(N, 1) log odds.

        Raises:
            ValueError: the rows have other features.
        """
        check_features(rows, self.schema)
        scores = [
            self.forest.scores(_matrix(rows, np.arange(begin, min(begin + BLOCK, len(rows)))))
            for begin in range(0, len(rows), BLOCK)
        ]
        return np.concatenate([np.empty(0), *scores]).astype(np.float32)[:, None]

    def contributions(self, rows: Rows) -> Floats:
        """(N, F) the parts of the log odds that each feature gives; with a constant they add up to these.

        LightGBM's ``pred_contrib``, the Shapley values of trees: Lundberg and Lee 2017,
        https://arxiv.org/abs/1705.07874. Sequences, which are not read, give 0.

        Raises:
            ValueError: the rows have other features.
        """
        check_features(rows, self.schema)
        columns = np.asarray(self.booster.predict(_matrix(rows, np.arange(len(rows))), pred_contrib=True))
        found = np.zeros((len(rows), len(self.schema.features)), dtype=np.float32)
        for (number, _), begin, n in _layout(self.schema):
            found[:, number] = columns[:, begin : begin + n].sum(axis=1)
        return found


def fit_gbdt(train: Rows, validation: Rows, seed: int, config: GbdtConfig = GbdtConfig()) -> Gbdt:
    """Grow trees on the main task until the validation rows are predicted no better.

    The number of threads (OMP_NUM_THREADS) changes no result.

    Raises:
        ValueError: there are no training or no validation rows, or the two differ in features.
    """
    import lightgbm as lgb

    check_training(train, validation)
    label = train.label[:, 0].copy()
    parameters = {
        "objective": "binary" if np.isin(label, (0, 1)).all() else "cross_entropy",
        **config.model_dump(exclude={"num_boost_round", "early_stopping_round"}),
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    rows_to_fit = lgb.Dataset(_matrix(train, np.arange(len(train))), label, weight=train.weight)
    stopping = rows_to_fit.create_valid(
        _matrix(validation, np.arange(len(validation))),
        validation.label[:, 0].copy(),
        weight=validation.weight,
    )
    stop = lgb.early_stopping(config.early_stopping_round, verbose=False)
    grown = lgb.train(parameters, rows_to_fit, config.num_boost_round, [stopping], callbacks=[stop])
    # From its text, so that it answers like the one that is restored: without the trees after the best.
    text = grown.model_to_string(num_iteration=grown.best_iteration)
    return Gbdt(text, train.schema, train.tasks[:1])


def restore_gbdt(state: State, config: GbdtConfig = GbdtConfig()) -> Gbdt:
    """The trees that had this state; they need none of the settings that they were grown with."""
    text = {name: unpack_text(value) for name, value in state.items()}
    schema, tasks = FeatureSchema.from_json(text["schema"]), tuple(json.loads(text["tasks"]))
    return Gbdt(text["model"], schema, tasks)


def _matrix(rows: Rows, chosen: Longs) -> Floats:
    """(B, F) the features of some rows: a column a number, a code, or an element of several."""
    layout = _layout(rows.schema)
    matrix = np.empty((len(chosen), sum(n for _, _, n in layout)), dtype=np.float32)
    for (_, name), begin, n in layout:
        matrix[:, begin : begin + n] = _column(rows, name, chosen).reshape(len(chosen), n)
    return matrix


def _layout(schema: FeatureSchema) -> list[tuple[tuple[int, str], int, int]]:
    """Number and name of each feature that is read, its first column, and how many it has."""
    read = [(number, feature) for number, feature in enumerate(schema.features) if feature.kind != "sequence"]
    width = [feature.size if feature.kind in ("multi_hot", "numeric") else 1 for _, feature in read]
    first = np.cumsum([0, *width])[:-1].tolist()
    return [
        ((number, feature.name), begin, n)
        for (number, feature), begin, n in zip(read, first, width, strict=True)
    ]


def _column(rows: Rows, name: str, chosen: Longs) -> NDArray[np.generic]:
    if name in rows.pairs:
        return rows.pairs[name][chosen]
    if name in rows.items:
        return rows.items[name][rows.item[chosen]]
    return rows.queries[name][rows.query[chosen]]


RANKER = Ranker(fit_gbdt, restore_gbdt, GbdtConfig())

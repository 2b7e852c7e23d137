"""The two towers: a user's history and attributes, and an item, as vectors of one space.

The user tower reads a history once and has a vector at any position of it, of the events up to there alone,
so that one pass learns from every position. Encoders of histories:

- mean: means under several exponential decays, side by side, into a linear map and a small network.
  Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations" (RecSys 2016), with decays
- attention: one layer whose query is the newest event
- causal: a transformer that looks back. Kang and McAuley, "Self-Attentive Sequential Recommendation"
  (ICDM 2018, https://arxiv.org/abs/1808.09781)

Augmented vectors let towers interact that meet in a product alone: one more input of each, a vector of the
id, learns to be what the other tower says of the id's positives. Yu et al., "A Dual Augmented Two-tower Model
for Online Large-scale Recommendation" (DLP-KDD 2021). Departures: they learn by the loss of retrieval as
well, as any input does; categories are not aligned, which is for catalogues with few items of some.

Shapes: B histories, L positions, D dimensions, M items.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.crosses import CrossBeside
from models.dataset import Doubles, Floats, Longs, Mask
from models.features.schema import Feature, FeatureSchema
from models.two_tower.batches import Tensors
from models.two_tower.config import TowersConfig
from models.two_tower.ids import SHARED, SIDES, Sharing, Side
from models.two_tower.inputs import GAPS, RUN, SINCE
from models.two_tower.means import decayed_means
from models.two_tower.vocabulary import AUGMENTED, ITEM_TABLES, USER_TABLES

Positions = tuple[Tensor, Tensor]
"""N positions in a batch of histories: the number of the history, ascending, and the event, (N,) each."""

TIMES = (*GAPS, RUN, SINCE)
"""Features by which the encoder mean weighs its means; for the other encoders they are parts like any."""

TIME_DIM = 16
"""Numbers that stand for a code of one of them."""

ID_TABLES = (*ITEM_TABLES, *USER_TABLES)
"""Embedding tables with a row an item or a user: they learn by row; the hourly update changes no others."""


class Towers(nn.Module):
    """Both towers over one schema."""

    def __init__(
        self,
        schema: FeatureSchema,
        config: TowersConfig,
        sharing: Mapping[Side, Sharing] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.config = config
        self.set_rows(sharing)
        features = [f for f in schema.of("user", "context") if f.kind != "sequence"]
        self.times = [f for f in features if f.name in TIMES] if "mean" in config.history else []
        self.user_features = [f for f in features if f not in self.times]
        self.item_features = schema.of("item")
        history = next(f for f in schema.of("user") if f.kind == "sequence")
        self.history_table = history.table
        coded = [f for f in schema.features if f.kind in ("categorical", "sequence") and f not in self.times]
        embedded = {f.table: f.size for f in coded}
        dim = config.embedding_dim
        mapped = {f.name: f.size for f in schema.features if f.kind in ("numeric", "multi_hot")}
        hashed = {name: sharing[side] for name, side in SIDES.items() if name in embedded and side in sharing}
        embedded |= {name: of.n_own + 1 for name, of in hashed.items()}
        self.tables = nn.ModuleDict({name: _embedding(size, dim) for name, size in embedded.items()})
        self.tables["bias"] = _embedding(history.size, 1, deviation=0.0)
        for name in ("item_id", "user_id") if config.augmented else ():
            self.tables[name + AUGMENTED] = _embedding(embedded[name], dim)
        for name, of in hashed.items():
            self.tables[name + SHARED] = _embedding(of.n_shared + 1, config.shared_dim)
            mapped[name + SHARED] = config.shared_dim
        self.maps = nn.ModuleDict({name: nn.Linear(size, dim, bias=False) for name, size in mapped.items()})
        for name in hashed:
            # Vectors of shared rows are as long at first as rows of their own.
            nn.init.normal_(self.map(name + SHARED).weight, std=config.shared_dim**-0.5)
        makers: dict[str, Callable[[TowersConfig], nn.Module]] = {
            "mean": partial(DecayedMeans, self.times),
            "attention": NewestAttends,
            "causal": Transformer,
        }
        self.encoders = nn.ModuleList(makers[name](config) for name in config.history)
        self.user_head = _head(1 + len(self.user_features) + config.augmented, config.user_hidden, config)
        self.item_head = _head(len(self.item_features) + config.augmented, config.item_hidden, config)

    def table(self, name: str) -> nn.Embedding:
        """An embedding table by its name in the schema, or ``bias``."""
        table = self.tables[name]
        assert isinstance(table, nn.Embedding)
        return table

    def map(self, name: str) -> nn.Linear:
        """The map of a table's shared rows, or of a feature, to ``embedding_dim`` numbers."""
        found = self.maps[name]
        assert isinstance(found, nn.Linear)
        return found

    def id_tables(self) -> dict[str, nn.Embedding]:
        """The tables with a row an item or a user, by name."""
        names = [*ID_TABLES, *(name + SHARED for name in ID_TABLES)]
        return {name: self.table(name) for name in names if name in self.tables}

    def set_rows(self, sharing: Mapping[Side, Sharing]) -> None:
        """Let ids of these sides read the rows of their ID tables that they share."""
        self.sharing = dict(sharing)
        # Code 0 is nobody's, and reads row 0.
        self.rows = {
            side: torch.from_numpy(np.pad(of.rows, ((1, 0), (0, 0)))) for side, of in sharing.items()
        }

    def move(self, sharing: Mapping[Side, Sharing]) -> None:
        """Let ids read other rows; the vector of one that gets a row of its own stays as it is."""
        before = dict(self.sharing)
        for name, side in SIDES.items():
            if name not in self.tables or side not in sharing:
                continue
            new = np.flatnonzero((sharing[side].rows[:, 0] > 0) & (before[side].rows[:, 0] == 0))
            with torch.no_grad():
                vectors = self.embedded(name, torch.from_numpy(new + 1))
                self.table(name).weight[torch.from_numpy(sharing[side].rows[new, 0]).long()] = vectors
        self.set_rows(sharing)

    def rows_of(self, table: str, codes: Longs) -> Longs:
        """The rows of an ID table that some users or items (n,) read, by their codes."""
        rows = self._rows(table.removesuffix(SHARED))
        if rows is None:
            return codes
        read = rows[codes, 1:] if table.endswith(SHARED) else rows[codes, 0]
        return np.setdiff1d(read.numpy(), 0).astype(np.int64)

    def readers_of(self, table: str, changed: Mapping[str, Mask]) -> Longs:
        """The codes, ascending, that read a row of an ID table that is marked as changed, by table."""
        rows = self._rows(table)
        if rows is None:
            return np.flatnonzero(changed[table])
        own, shared = rows.numpy()[:, 0], rows.numpy()[:, 1:]
        return np.flatnonzero(changed[table][own] | changed[table + SHARED][shared].any(axis=1))

    def start(self, table: str, vectors: Floats, weight: Doubles) -> None:
        """Set an ID table to vectors (n, D) of all ids; a hashed one comes near, nearest by weights (n,)."""
        sharing = self.sharing.get(SIDES[table])
        with torch.no_grad():
            if sharing is None:
                self.table(table).weight[1:] = torch.from_numpy(vectors)
                return
            own, shared, directions = sharing.fitted(vectors, weight, self.config.shared_dim)
            self.table(table).weight.copy_(torch.from_numpy(own))
            self.table(table + SHARED).weight.copy_(torch.from_numpy(shared))
            self.map(table + SHARED).weight.copy_(torch.from_numpy(directions))

    def embedded(self, table: str, codes: Tensor) -> Tensor:
        """Vectors (..., D) of codes (...) in an ID table or another."""
        rows = self._rows(table)
        if rows is None:
            return self.tables[table](codes)  # type: ignore[no-any-return]
        read = rows[codes]  # (..., 1 + H)
        shared = self.tables[table + SHARED](read[..., 1:]).sum(-2)  # (..., shared_dim)
        return self.tables[table](read[..., 0]) + self.maps[table + SHARED](shared)  # type: ignore[no-any-return]

    def users(self, inputs: Tensors, at: Positions, generator: torch.Generator | None = None) -> Tensor:
        """Vectors (N, D) at N positions of histories; with a generator, dimensions are left out."""
        events = self.embedded(self.history_table, inputs["history"])  # (B, L, D)
        events = _vector_dropout(events, self.config.dropout, generator)
        read = [f.name for f in (*self.user_features, *self.times)]
        values = {name: inputs[name][at if inputs[name].dim() == 2 else at[:1]] for name in read}  # (N,) each
        history = reduce(torch.add, [encoder(events, at, values, generator) for encoder in self.encoders])
        parts = [self._part(f, values[f.name]) for f in self.user_features]
        if self.config.augmented:
            parts.append(self.augmented("user_id", inputs["user_id"][at[0]]))
        return self._normed(self.user_head([history, *parts])) / self.config.temperature

    def items(self, columns: Tensors) -> Tensor:
        """Vectors (M, D) of items by their columns."""
        parts = [self._part(f, columns[f.name]) for f in self.item_features]
        if self.config.augmented:
            parts.append(self.augmented("item_id", columns["item_id"]))
        return self._normed(self.item_head(parts))

    def augmented(self, table: str, codes: Tensor) -> Tensor:
        """The augmented vectors (N, D) of the codes (N,) in an ID table."""
        return self.tables[table + AUGMENTED](codes)  # type: ignore[no-any-return]

    def biases(self, item_id: Tensor) -> Tensor:
        """(M,) biases added to the scores of items; zero when the towers have none."""
        bias: Tensor = self.tables["bias"](item_id).squeeze(-1)
        return bias if self.config.bias else torch.zeros_like(bias)

    def _rows(self, table: str) -> Tensor | None:
        """(n + 1, 1 + H) the rows that codes read of a hashed table; None where each has its own."""
        return self.rows.get(SIDES[table]) if table in SIDES else None

    def _part(self, feature: Feature, values: Tensor) -> Tensor:
        if feature.kind == "categorical":
            return self.embedded(feature.table, values)
        if feature.kind == "numeric":
            values = values[..., None]
        return self.maps[feature.name](values)  # type: ignore[no-any-return]

    def _normed(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors, dim=-1) if self.config.similarity == "cosine" else vectors


class DecayedMeans(nn.Module):
    """Means of the events under several decays, through a linear map plus a network of one hidden layer.

    The times between events and before the question, if they are read, weigh the means and scale the hidden
    units: of films of one page the newest says most, after days all of them say something.
    """

    def __init__(self, times: Sequence[Feature], config: TowersConfig) -> None:
        super().__init__()
        width = len(config.decays) * config.embedding_dim
        self.decays = config.decays
        self.times = nn.ModuleDict({f.name: nn.Embedding(f.size, TIME_DIM) for f in times})
        self.weights = nn.Linear(len(times) * TIME_DIM, len(config.decays), bias=False) if times else None
        if self.weights is not None:
            nn.init.zeros_(self.weights.weight)
        self.linear = nn.Linear(width, config.embedding_dim)
        self.network = MeansNetwork(width, len(times), config) if config.mean_hidden else None

    def forward(
        self, events: Tensor, positions: Positions, values: Tensors, generator: torch.Generator | None
    ) -> Tensor:
        means = decayed_means(events, positions, self.decays)  # (N, K, D)
        weighted, times = means, None
        if self.weights is not None:
            times = torch.cat([table(values[name]) for name, table in self.times.items()], dim=1)
            weighted = means * 2 * self.weights(times).sigmoid()[..., None]
        vectors: Tensor = self.linear(weighted.flatten(1))
        if self.network is not None:
            vectors = vectors + self.network(means.flatten(1), times, positions[0], generator)
        return vectors


class MeansNetwork(nn.Module):
    """The part that is not linear in the means; zero at first."""

    def __init__(self, width: int, n_times: int, config: TowersConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, config.mean_hidden)
        self.of_times = nn.Linear(n_times * TIME_DIM, 2 * config.mean_hidden, bias=False) if n_times else None
        self.out = nn.Linear(config.mean_hidden, config.embedding_dim)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, means: Tensor, times: Tensor | None, window: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        hidden = self.hidden(self.norm(means))  # (N, width)
        if self.of_times is not None:
            shift, scale = self.of_times(times).chunk(2, dim=1)
            hidden = (hidden + shift) * torch.exp(scale.tanh() / 2)
        hidden = functional.gelu(hidden)
        return self.out(_vector_dropout(hidden, self.dropout, generator, window))  # type: ignore[no-any-return]


class CausalAttention(nn.Module):
    """Multi-head attention in which a position sees itself and the ones before."""

    def __init__(self, config: TowersConfig) -> None:
        super().__init__()
        self.heads = config.heads
        dim = config.embedding_dim
        self.project, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, events: Tensor) -> Tensor:
        batch, length, dim = events.shape
        split = self.project(events).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, H, L, D / H) each
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(seen.transpose(1, 2).reshape(batch, length, dim))  # type: ignore[no-any-return]


class NewestAttends(nn.Module):
    """One attention over the history, whose query is the newest event; it does not see how old events are."""

    def __init__(self, config: TowersConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.embedding_dim)
        self.attention = CausalAttention(config)

    def forward(
        self, events: Tensor, positions: Positions, values: Tensors, generator: torch.Generator | None
    ) -> Tensor:
        return self.attention(self.norm(events))[positions]  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Blocks of causal attention and a feed-forward network, norms first, over events and their positions."""

    def __init__(self, config: TowersConfig) -> None:
        super().__init__()
        dim = config.embedding_dim
        self.positions = nn.Parameter(torch.randn(config.newest, dim) / math.sqrt(dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, events: Tensor, positions: Positions, values: Tensors, generator: torch.Generator | None
    ) -> Tensor:
        states = events * math.sqrt(events.shape[2]) + self.positions[: events.shape[1]]
        for block in self.blocks:
            states = block(states, generator)
        return self.norm(states[positions])  # type: ignore[no-any-return]


class Block(nn.Module):
    """One block of the transformer."""

    def __init__(self, config: TowersConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        dim = config.embedding_dim
        self.before_attention, self.before_network = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = CausalAttention(config)
        self.network = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, states: Tensor, generator: torch.Generator | None) -> Tensor:
        seen = self.attention(self.before_attention(states))
        states = states + _vector_dropout(seen, self.dropout, generator)
        mixed = self.network(self.before_network(states))
        return states + _vector_dropout(mixed, self.dropout, generator)


class Concatenated(nn.Module):
    """Parts side by side through a network, and cross layers beside it."""

    def __init__(self, n_parts: int, layers: Sequence[int], embedding_dim: int, crosses: int) -> None:
        super().__init__()
        sizes = [n_parts * embedding_dim, *layers]
        hidden = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
        deep = nn.Sequential(
            *(layer for pair in hidden for layer in pair), nn.Linear(sizes[-1], embedding_dim)
        )
        self.network = CrossBeside(sizes[0], crosses, deep, embedding_dim) if crosses else deep

    def forward(self, parts: list[Tensor]) -> Tensor:
        return self.network(torch.cat(parts, dim=-1))  # type: ignore[no-any-return]


class Added(nn.Module):
    """Parts added up."""

    def forward(self, parts: list[Tensor]) -> Tensor:
        return reduce(torch.add, parts)


def _head(n_parts: int, layers: Sequence[int], config: TowersConfig) -> nn.Module:
    return Concatenated(n_parts, layers, config.embedding_dim, config.crosses) if layers else Added()


def _embedding(size: int, embedding_dim: int, deviation: float = 0.05) -> nn.Embedding:
    """A table whose row 0, for nothing or unknown, is and stays zero."""
    table = nn.Embedding(size, embedding_dim, padding_idx=0)
    nn.init.normal_(table.weight, std=deviation)
    nn.init.zeros_(table.weight[0])
    return table


def _vector_dropout(
    values: Tensor, dropout: float, generator: torch.Generator | None, window: Tensor | None = None
) -> Tensor:
    """Dropout of the same dimensions at all positions of a history, in training alone.

    ``values`` are (B, L, D), or (N, D) of positions in the histories ``window`` (N,), ascending. Gal and
    Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks" (NIPS 2016);
    a smaller mask is also faster to draw.
    """
    if generator is None or dropout == 0 or len(values) == 0:
        return values
    n_histories = len(values) if window is None else int(window[-1]) + 1
    scale = (torch.rand(n_histories, values.shape[-1], generator=generator) >= dropout) / (1 - dropout)
    return values * (scale[:, None] if window is None else scale[window])

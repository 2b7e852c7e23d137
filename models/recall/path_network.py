"""The network of Deep Retrieval (``models.recall.deep_retrieval``), and the steps that train it."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from models.dataset import Dataset, Longs, Queries, queries_before
from models.embeddings.retrieval import HistoryConfig
from models.history import decayed_history
from models.recall.deep_retrieval import DeepRetrievalConfig


class PathNetwork(nn.Module):
    """Chances of paths, and item vectors to score by, given histories as sparse (B, I) weights."""

    def __init__(self, n_items: int, config: DeepRetrievalConfig) -> None:
        super().__init__()
        dim, width = config.embedding_dim, config.width
        self.config = config
        self.item = nn.Parameter(torch.randn(n_items, dim) * dim**-0.5)
        self.output = nn.Parameter(torch.zeros(n_items, dim))
        self.user = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.node = nn.ParameterList([torch.randn(width, dim) * dim**-0.5 for _ in range(config.depth - 1)])
        self.layer = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, width)) for _ in range(config.depth)
        )

    def forward(self, history: csr_array) -> Tensor:
        """The vectors (B, dim) of sparse histories (B, I) whose rows sum to 1."""
        item, begin = (torch.from_numpy(part.astype(np.int64)) for part in (history.indices, history.indptr))
        weight = torch.from_numpy(history.data)
        bag = functional.embedding_bag(
            item, self.item, begin, mode="sum", per_sample_weights=weight, include_last_offset=True
        )
        user: Tensor = bag + self.user(bag)
        return user

    def log_chance(self, user: Tensor, paths: Tensor) -> Tensor:
        """log p(c | x) of paths (B, J, D) for users (B, dim): (B, J)."""
        state = user[:, None].expand(-1, paths.shape[1], -1)  # (B, J, dim)
        total = torch.zeros(paths.shape[:2])
        for depth, layer in enumerate(self.layer):
            chosen = paths[:, :, depth]  # (B, J)
            log_chance = functional.log_softmax(layer(state), dim=-1)  # (B, J, K)
            total = total + log_chance.gather(2, chosen[:, :, None])[:, :, 0]
            if depth < len(self.node):
                state = state + functional.embedding(chosen, self.node[depth])
        return total

    def beam_search(self, user: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers and log chances (B, beam) of the likeliest paths, best first; fewer if there are fewer.

        The number of a path is its nodes read as digits of base K.
        """
        state = user[:, None]  # (B, W, dim), W paths so far
        path = torch.zeros(len(user), 1, dtype=torch.int64)  # (B, W)
        total = torch.zeros(len(user), 1)
        for depth, layer in enumerate(self.layer):
            longer = total[:, :, None] + functional.log_softmax(layer(state), dim=-1)  # (B, W, K)
            total, best = longer.flatten(1).topk(min(self.config.beam, longer[0].numel()))  # (B, W')
            before, chosen = best // self.config.width, best % self.config.width
            path = path.gather(1, before) * self.config.width + chosen
            if depth < len(self.node):
                state = state.gather(1, before[:, :, None].expand(-1, -1, state.shape[2]))
                state = state + functional.embedding(chosen, self.node[depth])
        return path, total


def train(
    network: PathNetwork,
    optimiser: torch.optim.Optimizer,
    dataset: Dataset,
    rows: Longs,
    paths: Longs,
    rng: np.random.Generator,
) -> None:
    """E-step: one pass over the events ``rows`` (P,), in their order, with the paths (I, J) fixed."""
    config = network.config
    digits = torch.from_numpy(_digits(paths, config))  # (I, J, D)
    has_events = np.flatnonzero(paths[:, 0] >= 0)
    for part in _batches(rows, config.batch_size):
        user = network(bags_of(queries_before(dataset, part), config.history))  # (B, dim)
        target = torch.from_numpy(dataset.item_idx[part].astype(np.int64))
        noise = torch.from_numpy(rng.choice(has_events, config.n_negatives))
        on_path = network.log_chance(user, digits[target]).logsumexp(dim=1)  # (B,)
        against = (user @ functional.embedding(noise, network.output).T).masked_fill(
            noise == target[:, None], -torch.inf
        )
        logits = torch.cat(
            [(user * functional.embedding(target, network.output)).sum(1, keepdim=True), against], dim=1
        )
        loss = logits.logsumexp(dim=1).mean() - logits[:, 0].mean() - on_path.mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


@torch.no_grad()
def path_chances(
    network: PathNetwork, dataset: Dataset, rows: Longs, n_paths: int
) -> tuple[csr_array, Longs]:
    """s(v, c) as sparse (I, paths) from the events ``rows``, and how many of them each item has (I,)."""
    config = network.config
    found, chance = [], []
    for part in _batches(rows, config.batch_size):
        user = network(bags_of(queries_before(dataset, part), config.history))
        path, log_chance = network.beam_search(user)  # (B, beam)
        found.append(path.numpy())
        chance.append(log_chance.exp().numpy())
    path_of = np.concatenate(found)  # (P, beam)
    item_of = np.repeat(dataset.item_idx[rows], path_of.shape[1])
    chances = csr_array(
        (np.concatenate(chance).ravel(), (item_of, path_of.ravel())), shape=(dataset.n_items, n_paths)
    )
    return chances, np.bincount(dataset.item_idx[rows], minlength=dataset.n_items)


def bags_of(queries: Queries, config: HistoryConfig) -> csr_array:
    """Decayed histories (B, I) whose rows sum to 1, or to 0 without a history."""
    history = decayed_history(queries, config.decay, config.newest)
    history.data /= np.repeat(history.sum(axis=1), np.diff(history.indptr))
    return history


def _digits(paths: Longs, config: DeepRetrievalConfig) -> Longs:
    """The nodes (I, J, D) of path numbers (I, J); those of -1 are never looked at."""
    powers = config.width ** np.arange(config.depth - 1, -1, -1)
    return paths[:, :, None] // powers % config.width


def _batches(rows: Longs, size: int) -> Iterator[Longs]:
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]

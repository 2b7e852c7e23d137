r"""Hashed ids against dense ones: quality, size and collisions of a two-tower channel.

    python -m benchmarks.bench_hashed_ids SOURCE [--channel two_tower] [--rates .5,.25,.125] \
        [--validation] [--set KEY=VALUE]...

Trains the channel on `leave-one-out` with a row an id, then with hashed tables of a fraction of that size, of
films and (where the towers have a table of them) users together, and once with the simplest hashed tables
there are: whole rows, each id one of them by one hash. HR@10 is the fraction of the targets among the first
ten; MiB are those of the ID tables, of the maps of shared rows and of the rows of each id.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models.dataset import Ints
from models.evaluation import metrics
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.split import Split
from models.pipeline.config import PipelineConfig, build_channel
from models.state import State, named
from models.two_tower.ids import SHARED, collisions
from tasks.commands.evaluate import read_log

TOP = 10
"""Length of the lists that are compared."""

HEADER = """\
| ids | size | HR@10 | NDCG@10 | MiB | share a row | share all rows |
|---|---:|---:|---:|---:|---:|---:|"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--channel", default="two_tower")
    parser.add_argument("--rates", default="0.5,0.25,0.125")
    parser.add_argument("--validation", action="store_true", help="on the protocol's validation split")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    base = {"recall": {"channels": [options.channel]}}
    config = configuration.load(options.set, base)
    log_to_terminal()
    protocol = PROTOCOLS["leave-one-out"]
    split = protocol.splits(read_log(options.source)[0])[0]
    split = protocol.validation(split) if options.validation else split
    towers = build_channel(config, options.channel).config.towers
    rates = [float(rate) for rate in options.rates.split(",") if rate]
    simplest = {"own_rate": 0.0, "hashes": 1, "shared_dim": towers.embedding_dim}
    compared: list[tuple[str, float, Mapping[str, Any]]] = [("dense", 1.0, {"ids": "dense"})]
    compared += [("hashed", rate, sized(rate, towers.user_id)) for rate in rates]
    compared += [("one hash", 0.25, sized(0.25, towers.user_id) | simplest)]
    print(HEADER, flush=True)
    for name, rate, settings in compared:
        changed = {"channels": {options.channel: {"towers": settings}}}
        print(
            row(name, rate, configuration.load(options.set, base | changed), options.channel, split),
            flush=True,
        )


def sized(rate: float, of_users: bool) -> dict[str, Any]:
    """Settings of hashed towers of a size; a user needs fewer rows than a film, which all users rate."""
    if not of_users:
        return {"ids": "hashed", "item_rate": rate}
    return {"ids": "hashed", "item_rate": min(0.99, 2.2 * rate), "user_rate": 0.2 * rate}


def row(name: str, rate: float, config: PipelineConfig, channel: str, split: Split) -> str:
    """A row of the table."""
    model = build_channel(config, channel).fit(split.train)
    rank0 = metrics.target_rank0(model.recommend(split.queries, TOP), split.targets)
    hits, ndcg = (rank0 < TOP).mean(), metrics.ndcg(rank0, split.targets, TOP).mean()
    rows = list(named(model.state, "rows.").values())
    shares = [f"{share:.3f}" for share in colliding(rows)] if rows else ["-", "-"]
    size = f"{mebibytes(model.state):.2f}"
    return " | ".join([f"| {name}", f"{rate:g}", f"{hits:.4f}", f"{ndcg:.4f}", size, *shares]) + " |"


def mebibytes(state: State) -> float:
    """Size of the arrays of a state by which ids become vectors and biases."""
    tables = [*named(state, "weight.tables.").values(), *named(state, "rows.").values()]
    maps = [value for name, value in named(state, "weight.maps.").items() if SHARED in name]
    return sum(array.nbytes for array in [*tables, *maps]) / 2**20


def colliding(rows: Sequence[Ints]) -> tuple[float, float]:
    """Fractions of the ids of all sides that share a row, and that share all."""
    n = sum(map(len, rows))
    found = [collisions(of_side) for of_side in rows]
    one, every = (sum(s[k] * len(r) for s, r in zip(found, rows, strict=True)) / n for k in (0, 1))
    return one, every


if __name__ == "__main__":
    main()

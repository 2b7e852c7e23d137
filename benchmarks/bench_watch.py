"""Time and part watched: calibration beside direct regression, and whether long films are punished.

    python -m benchmarks.bench_watch synthetic:0.1,watch [--seeds 3] [--set KEY=VALUE]...

Every play of the source is a row of user, film, their attributes and the film's length. Random 8:1:1. The
same network learns minutes by weighted logistic regression and by the squared error of minutes (over their
mean), each until its own loss grows; ``error`` is the mean of |observed - predicted| over 20 bins of equally
many rows, by predicted minutes, and the same with the true mean in place of what was observed, both as
fractions of the mean; figures are means over splits and trainings of several seeds. Then, of the first, the
correlation of the length with the part watched as predicted, and as ranking reads it: over what is usual for
the length.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models.behaviour import Behaviour
from models.dataset import Dataset, Doubles, Floats, Mask
from models.encoding import encode
from models.features.declare import Declaration
from models.features.encode import fit_encoder
from models.features.extract import attributes
from models.pipeline.config import ranker_of
from models.rank.behaviour import BY_LENGTH, behaviour_labels, fit_length_curve, minutes
from models.rank.calibration import reliability
from models.rank.candidates import lengths
from models.rank.deep import Deep, DeepConfig
from models.rank.rows import Rows
from models.rank.trainer import fit_network
from models.rank.validation import probability
from tasks.config import Configuration
from warehouse.sources import source as sources

FIELDS = (
    Declaration("user", "id", "categorical", "attribute", "index"),
    *(
        Declaration("user", name, "categorical", "attribute", name)
        for name in ("gender", "age", "occupation")
    ),
    Declaration("item", "id", "categorical", "attribute", "index"),
    Declaration("item", "genres", "multi_hot", "attribute", "genres"),
    Declaration("item", "duration", "log", "attribute", "duration_seconds"),
)
TASKS = ("watch_time", *BY_LENGTH)


def read_plays(source: str) -> tuple[Dataset, pl.DataFrame]:
    """The plays of a source as a log, and its rows in the same order."""
    found = sources.resolve(source)
    users, items = found.users(), found.items()
    assert users is not None
    assert items is not None
    plays = pl.concat(found.ratings()).filter("is_play").sort("user_id", "timestamp", maintain_order=True)
    events = {name: plays[name].to_numpy() for name in ("user_id", "item_id", "rating")}
    events["at"] = plays["timestamp"].to_numpy()
    return encode(events, users, items, int(events["at"].max()) + 1)[0], plays


def labelled_rows(log: Dataset, behaviour: Behaviour) -> Rows:
    """A row for every play, with the labels of TASKS."""
    raw = attributes(FIELDS, log)
    encoder = fit_encoder(FIELDS, (), raw, log)
    users, items, _ = encoder.encode(raw)
    label = behaviour_labels(behaviour, log.user_idx, log.item_idx)
    columns = np.column_stack([label[task] for task in TASKS])
    user, item = log.user_idx.astype(np.int64), log.item_idx.astype(np.int64)
    return Rows(encoder.schema, user, item, users, items, {}, columns, TASKS)


def as_behaviour(log: Dataset, plays: pl.DataFrame) -> Behaviour:
    """The plays by user and film."""
    order = np.lexsort((log.item_idx, log.user_idx))
    values = {
        name: plays[name].cast(pl.Float32).to_numpy()[order]
        for name in ("clicked", "liked", "collected", "shared", "watch_seconds", "duration_seconds")
    }
    return Behaviour(log.user_idx[order], log.item_idx[order], **values, n_items=log.n_items)


def by_odds(parts: Sequence[Rows], settings: DeepConfig, seed: int) -> Floats:
    """Logits of the time watched of the test rows, the last part, by weighted logistic regression."""
    train, validation, test = parts
    network = fit_network(
        lambda schema, _: Deep(schema, settings), TASKS[:1], train, validation, seed, settings.training
    )
    return network.logits(test)[:, 0]


def directly(parts: Sequence[Rows], settings: DeepConfig, seed: int) -> Floats:
    """The time itself, in means, by squared error."""
    train, validation, test = parts

    def loss(predicted: Tensor, label: Tensor, weight: Tensor | None) -> Tensor:
        return torch.nn.functional.mse_loss(predicted, label / (1 - label))

    network = fit_network(
        lambda schema, _: Deep(schema, settings), TASKS[:1], train, validation, seed, settings.training, loss
    )
    return network.logits(test)[:, 0]


def calibration_error(observed: Doubles, predicted: NDArray[np.floating]) -> float:
    """The mean distance of observed and predicted minutes over bins, as a fraction of the mean."""
    return reliability(observed.astype(np.float32), predicted).error / float(observed.mean())


def print_completion(config: Configuration, log: Dataset, parts: Sequence[Rows]) -> None:
    """Train all tasks together, and print how the parts watched go with the length."""
    train, validation, test = parts
    trained = ranker_of(config, "mmoe").fit(train, validation, config.seed)
    found, before = (probability(trained.logits(rows)) for rows in (test, train))
    length = lengths(log, test.item)
    print(f"\n{'part watched':22}{'observed r':>12}{'predicted r':>13}{'adjusted r':>12}")
    for task in BY_LENGTH:
        number = TASKS.index(task)
        curve = fit_length_curve(lengths(log, train.item), before[:, number])
        assert curve is not None
        values = (
            test.label[:, number],
            found[:, number],
            found[:, number] / curve(length),
        )
        r = [float(np.corrcoef(length, value)[0, 1]) for value in values]
        print(f"{task:22}{r[0]:>+12.3f}{r[1]:>+13.3f}{r[2]:>+12.3f}")


def split_at_random(rows: Rows, seed: int) -> tuple[list[Rows], Mask]:
    """Random 8:1:1 to learn from, to stop by and to test, and (N,) which rows test."""
    chance = np.random.default_rng(seed).random(len(rows))
    masks = (chance < 0.8, (chance >= 0.8) & (chance < 0.9), chance >= 0.9)
    return [rows.where(mask) for mask in masks], masks[2]


def figures(watched: Doubles, truth: Doubles, predicted: NDArray[np.floating]) -> list[float]:
    """Mean, calibration errors to what was observed and to the truth, RMSE of the truth."""
    rmse = float(np.sqrt(np.mean((predicted - truth) ** 2)))
    errors = [calibration_error(of, predicted) for of in (watched, truth)]
    return [float(predicted.mean()), *errors, rmse]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--seeds", type=int, default=3, help="splits and trainings, from the seed on")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set)
    log_to_terminal()
    log, plays = read_plays(options.source)
    behaviour = as_behaviour(log, plays)
    rows = labelled_rows(log, behaviour)
    settings = ranker_of(config, "deep").settings
    assert isinstance(settings, DeepConfig)
    settings = settings.but(training=settings.training.but(monitor="logloss"))
    found: dict[str, list[list[float]]] = {"weighted logistic": [], "direct regression": []}
    unit, observed = behaviour.mean_minutes, []
    for seed in range(config.seed, config.seed + options.seeds):
        parts, test = split_at_random(rows, seed)
        watched, truth = (plays[name].to_numpy()[test] / 60 for name in ("watch_seconds", "expected_seconds"))
        observed.append(watched.mean())
        odds = probability(by_odds(parts, settings, seed))
        found["weighted logistic"].append(figures(watched, truth, minutes(odds, unit)))
        found["direct regression"].append(figures(watched, truth, unit * directly(parts, settings, seed)))
    print(f"{'watch time':22}{'mean':>8}{'error':>9}{'of the truth':>14}{'RMSE of the truth':>19}")
    print(f"{'observed':22}{np.mean(observed):>8.1f}")
    for name, of_seeds in found.items():
        mean, error, of_truth, rmse = np.mean(of_seeds, axis=0)
        print(f"{name:22}{mean:>8.1f}{error:>9.4f}{of_truth:>14.4f}{rmse:>19.2f}")
    print_completion(config, log, split_at_random(rows, config.seed)[0])


if __name__ == "__main__":
    main()

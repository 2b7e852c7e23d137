"""What a two-tower model is made of and how it learns; the known members of the family by name."""

from typing import Literal

from models.config import Config
from models.embeddings.cbow import CbowConfig

Encoder = Literal["mean", "attention", "causal"]
Precision = Literal["float32", "bfloat16"]
Loss = Literal["bce", "hinge", "logistic", "softmax"]


class TowersConfig(Config):
    """The user tower, the item tower, and how their vectors meet."""

    dims: int = 64
    """Length of the vectors of both towers, and of every embedding."""
    history: tuple[Encoder, ...] = ("mean",)
    """How the history is read; what several encoders say is added up."""
    newest: int = 200
    """Most events of a history that are read."""
    decays: tuple[float, ...] = (1.0, 3.0, 15.0, 100.0)
    """mean: the k-th newest event weighs exp(-k / decay); one weighted mean for each decay, inf is plain."""
    mean_width: int = 256
    """mean: units of the hidden layer over the means; 0 leaves the linear part alone."""
    blocks: int = 2
    """causal: transformer blocks."""
    heads: int = 1
    """attention, causal: heads; they divide ``dims``."""
    dropout: float = 0.2
    """Share of the dimensions of a history that are left out of a training step."""
    user_id: bool = False
    """The user tower has a vector for each user."""
    demographics: bool = False
    """The user tower knows gender, age, occupation and region."""
    statistics: bool = False
    """The towers know counts and mean ratings: of the history, and of the item in the fitted log."""
    attributes: bool = False
    """The item tower knows genres and the year."""
    user_layers: tuple[int, ...] = ()
    """Hidden units over the concatenated parts of the user; without any, the parts are added up."""
    item_layers: tuple[int, ...] = ()
    """The same of the item."""
    tied: bool = True
    """Histories are read by the item tower's ID vectors; otherwise by a table of their own."""
    bias: bool = True
    """Each item has a bias."""
    similarity: Literal["dot", "cosine"] = "dot"
    """The score of a pair, over ``temperature``, plus the item's bias."""
    temperature: float = 1.0
    """What similarities are divided by."""


class NegativesConfig(Config):
    """How many negatives of each kind; kinds add up to a mixture. None at all: all items (softmax only)."""

    uniform: int = 512
    """Uniform over the catalogue, shared by a batch."""
    popularity: int = 0
    """By the number of events to the power 0.75, shared by a batch."""
    in_batch: int = 0
    """Drawn from the batch's own targets, shared by the batch."""
    hard: int = 0
    """For each user, from what the model of the epoch before ranked ``hard_ranks``."""
    hard_ranks: tuple[int, int] = (101, 500)
    """First and last rank that hard negatives come from."""
    mask_seen: bool = False
    """Also mask negatives that the user has anywhere in the log, not only the target itself."""
    gap_rate: float = 0.05
    """in_batch: weight of the newest gap in the streaming estimate of an item's frequency."""

    @property
    def every_item(self) -> bool:
        """Whether there is no sample: all items are negatives."""
        return not (self.uniform or self.popularity or self.in_batch or self.hard)


class LossConfig(Config):
    """What a score is trained towards."""

    kind: Loss = "softmax"
    """bce: pointwise; hinge: triplets; logistic: pairs; softmax: lists."""
    margin: float = 0.5
    """hinge: the target shall score so much more than a negative."""
    ratings: Literal["ignore", "weight", "label"] = "ignore"
    """weight: an event counts by its rating over 5; label: and bce's target is that, not 1."""


class UpdateConfig(Config):
    """The hourly update: only the ID embeddings learn."""

    learning_rate: float = 0.02
    """Step of the row-wise Adagrad."""
    batch_events: int = 64
    """New events a step, in order of time."""
    replay: float = 0.3
    """Share of a step's events that are drawn from the log before."""
    initial: float = 0.1
    """Mean square gradient that a row's accumulator starts with."""
    negatives: int = 256
    """Uniform negatives, shared by a step."""


class TrainingConfig(Config):
    """The loop."""

    epochs: int = 8
    """Most passes over the log; the learning rate falls linearly over them."""
    learning_rate: float = 1e-3
    """Of Adam, at its highest."""
    warmup: float = 0.03
    """Share of the training in which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Of AdamW, decoupled."""
    batch_tokens: int = 3200
    """Places in a batch of histories, padding included."""
    target: Literal["next", "future"] = "next"
    """What a place in a history is to foretell: the next event, or any later one of its user."""
    recency: float = 0.0
    """Days after which a target counts 1/e of a new one; 0: all count alike."""
    validation_users: int = 1000
    """Users whose newest event is no target but validates each epoch; at most a quarter of them."""
    patience: int = 2
    """Epochs without a better validation NDCG@10 after which training stops."""
    first_vectors: CbowConfig | None = None
    """Start item vectors from a bag-of-words model with this training; None: at random."""
    warm_learning_rate: float = 1e-5
    """Of Adam in a warm training, at first; it falls to 0."""
    warm_replay: float = 4.0
    """History replayed in a warm training, in events a new event."""
    precision: Precision = "float32"
    """Of the factors of matrix products in training; sums, and everything else, are float32."""


class TwoTowerConfig(Config):
    """A model of the family."""

    towers: TowersConfig = TowersConfig()
    """What it is."""
    negatives: NegativesConfig = NegativesConfig()
    """What it is shown besides the targets."""
    loss: LossConfig = LossConfig()
    """What it aims at."""
    training: TrainingConfig = TrainingConfig()
    """How it learns at night."""
    update: UpdateConfig = UpdateConfig()
    """How it learns by the hour."""
    seed: int = 0
    """Seed of the first weights, the batches, the negatives and the dropout."""

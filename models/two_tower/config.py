"""Settings of a two-tower model: its towers, its negatives, its loss, its training and its hourly update."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from models.bounds import BelowOne, Between, Fraction, NonNegative, Positive, only_where
from models.config import Config
from models.embeddings.ann import AnnConfig
from models.embeddings.cbow import CbowConfig
from models.embeddings.retrieval import HistoryConfig

HistoryEncoder = Literal["mean", "attention", "causal"]
Precision = Literal["float32", "bfloat16"]
LossKind = Literal["bce", "hinge", "logistic", "softmax", "rating"]

Layers = tuple[PositiveInt, ...]
"""Units of hidden layers, the first layer first."""


class TowersConfig(Config):
    """The user tower, the item tower, and how their vectors meet."""

    embedding_dim: PositiveInt = 64
    """Length of the vectors of both towers, and of every embedding."""
    history: Annotated[tuple[HistoryEncoder, ...], Field(min_length=1)] = ("mean",)
    """Encoders of the history; the vectors of several are added up."""
    newest: PositiveInt = 200
    """Newest events of a history that are read."""
    decays: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (1.0, 3.0, 15.0, 100.0)
    """Decays of the encoder mean, in events: one decayed mean for each; infinity for the plain mean."""
    mean_hidden: NonNegativeInt = 256
    """Units of the hidden layer over the means of the encoder mean; 0 leaves its linear part alone."""
    blocks: PositiveInt = 2
    """Transformer blocks of the encoder causal."""
    heads: PositiveInt = 1
    """Attention heads of the encoders attention and causal; they divide ``embedding_dim``."""
    dropout: BelowOne = 0.2
    """Fraction of the dimensions of a history that are left out of a training step."""
    user_id: bool = False
    """The user tower has a vector for each user."""
    demographics: bool = False
    """The user tower reads gender, age, occupation and region."""
    statistics: bool = False
    """The towers read counts and mean ratings: of the history, and of the item in the fitted log."""
    pace: bool = False
    """The user tower reads the times between the newest events: which of them belong together."""
    context: bool = False
    """The user tower reads the moment of the question: hour, weekday, time since the newest event."""
    attributes: bool = False
    """The item tower reads genres and the year."""
    user_hidden: Layers = ()
    """Units of the hidden layers over the concatenated parts of the user; without any, parts are added up."""
    item_hidden: Layers = ()
    """Units of the hidden layers over the concatenated parts of the item; without any, parts are added up."""
    crosses: NonNegativeInt = 0
    """Cross layers beside the hidden layers of both towers; 0 for none."""
    augmented: bool = False
    """Each user and item has an augmented vector, an input of its tower that mimics the other tower's output
    for its targets."""
    tied: bool = True
    """Histories are read by the item tower's ID vectors; otherwise by a table of their own."""
    bias: bool = True
    """Each item has a bias."""
    ids: Literal["dense", "hashed"] = "dense"
    """Rows of the ID tables: one an id; or fewer, which rare ids share by hashes."""
    item_rate: Between = 0.55
    """Size of a hashed table of items, as a fraction of one with a row an item."""
    user_rate: Between = 0.05
    """Size of a hashed table of users, as a fraction of one with a row a user."""
    own_rate: BelowOne = 0.7
    """Fraction of a hashed table that holds rows of their own of the most frequent ids."""
    shared_dim: PositiveInt = 32
    """Length of the shared rows of a hashed table, which are mapped to ``embedding_dim``."""
    hashes: Literal[1, 2] = 2
    """Shared rows of an id that has none of its own, each found by a hash; they are added up."""
    retire_after: PositiveFloat = 90.0
    """Days without an event after which an id leaves a row of its own to an active one, in a night that
    learns on; infinity for never."""
    similarity: Literal["dot", "cosine"] = "dot"
    """Similarity of the two vectors; over ``temperature``, plus the item's bias, it is the score."""
    temperature: Positive = 1.0
    """Number that similarities are divided by."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.embedding_dim % self.heads:
            raise ValueError(
                f"heads must divide embedding_dim, but {self.heads} does not divide {self.embedding_dim}"
            )
        only_where("mean" in self.history, "history holds mean", self, "decays", "mean_hidden")
        only_where("causal" in self.history, "history holds causal", self, "blocks")
        hashed = self.ids == "hashed"
        of_hashed = "item_rate", "own_rate", "shared_dim", "hashes", "retire_after"
        only_where(hashed, "ids is hashed", self, *of_hashed)
        only_where(hashed and self.user_id, "ids is hashed and user_id is on", self, "user_rate")
        if hashed and self.shared_dim > self.embedding_dim:
            raise ValueError(f"shared_dim must be at most embedding_dim, {self.embedding_dim}")
        layered = bool(self.user_hidden or self.item_hidden)
        only_where(layered, "user_hidden or item_hidden is set", self, "crosses")
        if self.augmented and (hashed or not self.user_id):
            raise ValueError("augmented vectors are those of dense ids: set user_id to true and ids to dense")
        attends = "attention" in self.history or "causal" in self.history
        only_where(attends, "history holds attention or causal", self, "heads")
        return self


class NegativesConfig(Config):
    """Negatives by kind, in numbers; kinds add up to a mixture. Without any, all items are negatives.

    Of a catalogue too large for that, a uniform sample stands for it.
    """

    uniform: NonNegativeInt = 512
    """Negatives drawn uniformly from the items that occur, shared by a batch."""
    popularity: NonNegativeInt = 0
    """Negatives drawn by the number of events to the power 0.75, shared by a batch."""
    popularity_top: NonNegativeInt = 0
    """Items, the most frequent ones, that popularity negatives are drawn from; 0 for all of them."""
    rare: NonNegativeInt = 0
    """Negatives drawn uniformly from items of fewer than ``rare_below`` events, shared by a batch."""
    rare_below: PositiveInt = 5
    """Events from which an item is not rare."""
    in_batch: NonNegativeInt = 0
    """Negatives drawn from the batch's own targets, shared by the batch."""
    correct_in_batch: bool = True
    """Lower scores of in-batch negatives by the log of their frequency (logQ); else they count as uniform."""
    gap_rate: Fraction = 0.05
    """Weight of the newest gap in the streaming estimate of the frequency of an in-batch negative."""
    every_item_up_to: PositiveInt = 8192
    """Items up to which all can be negatives; beyond, as many are drawn uniformly for each batch."""
    hard: NonNegativeInt = 0
    """Hard negatives of each target, drawn from those of its user."""
    hard_source: Literal["model", "rejected"] = "model"
    """Source of hard negatives: the model's own ranks, or items that an earlier run ranked but rejected."""
    hard_ranks: tuple[PositiveInt, PositiveInt] = (101, 500)
    """First and last rank of the model that hard negatives are drawn from."""
    mask_seen: bool = False
    """Mask shared negatives that the user has anywhere in the log, not only the target itself."""

    @property
    def every_item(self) -> bool:
        """True without a sample: all items are negatives."""
        return not (self.uniform or self.popularity or self.rare or self.in_batch or self.hard)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        first, last = self.hard_ranks
        if first > last:
            raise ValueError(f"hard_ranks must ascend: {first} is after {last}")
        only_where(self.every_item, "no negatives are drawn", self, "every_item_up_to")
        only_where(self.popularity > 0, "popularity is above 0", self, "popularity_top")
        only_where(self.rare > 0, "rare is above 0", self, "rare_below")
        only_where(self.in_batch > 0, "in_batch is above 0", self, "correct_in_batch")
        corrected = self.in_batch > 0 and self.correct_in_batch
        only_where(corrected, "in-batch negatives are corrected", self, "gap_rate")
        only_where(self.hard > 0, "hard is above 0", self, "hard_source", "hard_ranks")
        shared = self.uniform + self.popularity + self.rare + self.in_batch > 0
        only_where(shared, "a batch shares negatives", self, "mask_seen")
        return self


class LossConfig(Config):
    """The loss of a target and its negatives."""

    kind: LossKind = "softmax"
    """Loss: bce (pointwise), hinge (triplets with a margin), logistic (pairs), softmax (lists), or rating:
    cross entropy of the target's rating, between the worst and the best, without negatives."""
    margin: Positive = 0.5
    """Distance by which hinge wants the target's score above that of a negative."""
    ratings: Literal["ignore", "weight", "label"] = "ignore"
    """Use of the ratings: none, the weight of an event, or, over 5 stars, the label of bce in place of 1."""
    mimic: NonNegative = 1.0
    """Weight of the squared distance of augmented vectors from the outputs that they mimic."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        only_where(self.kind == "hinge", "kind is hinge", self, "margin")
        if self.ratings == "label" and self.kind != "bce":
            raise ValueError(f"ratings are labels of the loss bce alone, not of {self.kind}")
        return self


class UpdateConfig(Config):
    """The hourly update, by which only the ID embeddings learn, and the limits of its drift."""

    learning_rate: Positive = 0.02
    """Step size of the row-wise Adagrad."""
    batch_size: PositiveInt = 64
    """New events of a step, in order of time."""
    replay: BelowOne = 0.3
    """Fraction of a step's events that are drawn from the log before."""
    initial: Positive = 0.1
    """Mean squared gradient that the accumulator of a row starts with."""
    n_negatives: NonNegativeInt = 256
    """Uniform negatives, shared by a step; 0 for all items (softmax alone) or none (rating)."""
    max_shift: Positive = 0.5
    """Mean move of the changed item embeddings, over their mean length, beyond which an update is drift."""
    max_loss_rise: NonNegative = 0.05
    """Relative rise of the loss on earlier events beyond which an update is drift."""


class TrainingConfig(Config):
    """The nightly training."""

    epochs: NonNegativeInt | None = 8
    """Passes over the log at most; the learning rates fall linearly over them. None for 3, and on a small log
    for as many as make 400 steps, up to 20."""
    learning_rate: Positive = 1e-3
    """Learning rate of AdamW, by which all but the ID tables learn, at its highest."""
    id_learning_rate: Positive = 0.1
    """Learning rate of the row-wise Adagrad of the ID tables at its highest."""
    initial: Positive = 0.1
    """Mean squared gradient that the accumulator of a row starts with."""
    warmup: Between = 0.03
    """Fraction of the training in which the learning rates rise from 0."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay of AdamW; rows of ID tables move only when they are read and do not decay."""
    clip_norm: PositiveFloat = float("inf")
    """Norm that a larger gradient of all but the ID tables is scaled down to; infinity never does."""
    batch_tokens: PositiveInt = 3200
    """Positions of a batch of histories, padding included."""
    target: Literal["next", "future"] = "next"
    """Target of a position in a history: the user's next event, or any later one."""
    recency: NonNegative = 0.0
    """Days before the newest event at which a target counts 1/e; 0 lets all count alike."""
    validation_users: NonNegativeInt = 1000
    """Users whose newest event is no target but validates each epoch; at most a quarter of all."""
    patience: PositiveInt = 2
    """Epochs without a better validation NDCG@10 after which training stops; for each 3 if epochs is None."""
    first_vectors: CbowConfig | None = None
    """Training of a bag-of-words model whose vectors the towers start from; None for random ones."""
    warm_learning_rate: Positive = 1e-5
    """Learning rate of AdamW at the start of a warm training; it falls to 0."""
    warm_id_learning_rate: Positive = 1e-3
    """Learning rate of the row-wise Adagrad at the start of a warm training; it falls to 0."""
    warm_replay: NonNegative = 4.0
    """Events of the history that a warm training replays for each new event."""
    precision: Precision = "float32"
    """Precision of the factors of matrix products in training; all else is float32."""


def _check_first_vectors(vectors: CbowConfig, towers: TowersConfig) -> None:
    """Refuse towers that cannot start from a bag-of-words model.

    Raises:
        ValueError: they have another length of vectors, or nothing that reads histories as its bags are read.
    """
    if vectors.embedding_dim != towers.embedding_dim:
        lengths = f"{vectors.embedding_dim} and {towers.embedding_dim}"
        raise ValueError(f"first_vectors and towers must have the same embedding_dim, not {lengths}")
    decay = HistoryConfig().decay
    if towers.tied or "mean" not in towers.history or decay not in towers.decays:
        raise ValueError(
            f"first_vectors need the encoder mean with a decay of {decay:g} and towers that are not tied: "
            "set those, or first_vectors to null"
        )


class TwoTowerConfig(Config):
    """A two-tower model: its parts and how they learn."""

    towers: TowersConfig = TowersConfig()
    """The two towers."""
    negatives: NegativesConfig = NegativesConfig()
    """Negatives of the nightly training."""
    loss: LossConfig = LossConfig()
    """Loss of the nightly training and of the hourly update."""
    training: TrainingConfig = TrainingConfig()
    """The nightly training."""
    update: UpdateConfig = UpdateConfig()
    """The hourly update."""
    ann: AnnConfig = AnnConfig(hnsw_up_to=50_000)
    """Index of the items that is searched; a flat one is searched by matrix products."""
    seed: int = 0
    """Seed of the first weights, the batches, the negatives and the dropout."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ann.metric != "inner_product":
            raise ValueError(
                "ann.metric must be inner_product, by which towers score: cosine is a similarity"
            )
        has_negatives = not self.negatives.every_item or self.update.n_negatives > 0
        if self.loss.kind == "rating" and has_negatives:
            raise ValueError(
                "the loss rating has no negatives: set negatives.uniform and update.n_negatives to 0"
            )
        draws = self.loss.kind not in ("softmax", "rating")
        if draws and (self.negatives.every_item or not self.update.n_negatives):
            raise ValueError("only the softmax can take all items as negatives: set how many are drawn")
        if draws and not self.negatives.correct_in_batch:
            raise ValueError(f"only the softmax corrects in-batch negatives: {self.loss.kind} never does")
        only_where(self.towers.augmented, "towers.augmented is on", self.loss, "mimic")
        if self.training.first_vectors is not None:
            _check_first_vectors(self.training.first_vectors, self.towers)
        return self

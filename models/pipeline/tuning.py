"""How good a channel or a ranker is with some settings, on the validation splits of a protocol alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from models import merge
from models.candidates import Candidates
from models.evaluation.scores import OVERALL, EvaluationConfig, Evaluator
from models.evaluation.split import Split
from models.features.compute import PastIndex
from models.pipeline import stages
from models.pipeline.channels import Fitter, capped, fit_channel
from models.pipeline.config import PipelineConfig
from models.pipeline.holdout import holdout
from models.pipeline.stages import Declared, Shortlist, Stages
from models.rank.candidates import Pool


@dataclass(frozen=True)
class Judge:
    """One metric at one length, over all queries of the validation splits."""

    evaluator: Evaluator
    metric: str
    k: int

    @staticmethod
    def of(validations: Sequence[Split], metric: str, k: int) -> "Judge":
        """The judge of lists for the queries of these splits."""
        return Judge(Evaluator(validations, EvaluationConfig(ks=(k,), metrics=(metric,))), metric, k)

    def value(self, lists: Sequence[Candidates]) -> float:
        """The metric of lists (B, n) for each split."""
        scores = self.evaluator.scores(lists)
        return float(scores.only([(OVERALL, self.metric, self.k)]).values()[0])


def channel_value(config: PipelineConfig, name: str, validations: Sequence[Split], judge: Judge) -> float:
    """The value of a channel, fitted on the training part of each split."""
    lists = [
        fit_channel(config, name, capped(config, split.train)).recommend(split.queries, judge.k)
        for split in validations
    ]
    return judge.value(lists)


class RankerTrials:
    """Values of rankers, which all learn from the same candidates and order the same ones, made once.

    As in an evaluation, a ranker learns from the newest part of the training part of a split.
    """

    def __init__(
        self, config: PipelineConfig, validations: Sequence[Split], declared: Declared, judge: Judge
    ) -> None:
        """Recall for all splits.

        Raises:
            ValueError: too little of a split can be held back for a ranker to learn from.
        """
        fitter = Fitter(config)
        self._declared, self._judge = declared, judge
        self._parts = [_part(config, split, fitter, declared) for split in validations]

    def value(self, config: PipelineConfig) -> float:
        """The value of the lists that the ranker of a configuration orders alone."""
        return self._judge.value([self._lists(config, part) for part in self._parts])

    def _lists(self, config: PipelineConfig, part: "_Part") -> Candidates:
        fitted = stages.fit_rank(config, part.pool, part.held_back, part.split.train, self._declared)
        ranking = None if fitted is None else fitted.ranking
        return stages.ranked(config, part.short, ranking, part.past).ranked


@dataclass(frozen=True)
class _Part:
    split: Split
    held_back: Split
    """The newest part of the split's training part."""
    pool: Pool
    """Candidates of the queries held back."""
    short: Shortlist
    """Candidates of the split's queries."""
    past: PastIndex


def _part(config: PipelineConfig, split: Split, fitter: Fitter, declared: Declared) -> _Part:
    held_back = holdout(split.train, config.objective, config.holdout)
    if held_back is None:
        raise ValueError("the log is too small to hold anything back for a ranker")
    # The smaller log first: the incremental channel goes on from it.
    recalled, of_split = (
        {
            name: fitter.fitted(name, of.train).recommend(of.queries, config.recall.candidates)
            for name in config.recall.channels
        }
        for of in (held_back, split)
    )
    merging = stages.fit_merge(config, recalled, held_back)
    preranking, pool = stages.fit_prerank(config, recalled, merging, held_back, split.train, declared)
    fallback, past = merge.fallback_order(split.train), stages.past_of(split)
    fitted = Stages(merging, fallback, None if preranking is None else preranking.ranking, None)
    short = stages.shortlist(config, of_split, fitted, split.queries, past)
    return _Part(split, held_back, pool, short, past)

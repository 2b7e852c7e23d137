"""Lists for users nobody knows, by what may be known of them."""

import numpy as np
import polars as pl

from models.encoding import Vocabulary
from models.pipeline.config import PipelineConfig, channel_settings
from models.recall.segment import Segment, SegmentConfig
from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.step import step
from warehouse.runs import files
from warehouse.runs.run import Run


@step("segments", reads=["events", "users"], writes=["segments"])
def recommend_segments(run: Run) -> RowCounts:
    """Write the list of everybody, of each gender, and of each gender and age."""
    data = run_data.load(run)
    lists = (
        Segment(_settings(data.config)).fit(data.dataset).lists(min(data.config.top_n, data.dataset.n_items))
    )
    names = [_name(gender, age, data.vocabulary) for gender, age in zip(lists.gender, lists.age, strict=True)]
    numbers = np.arange(len(names))
    frame = run_data.candidate_rows(lists.top, numbers, data.vocabulary, "number")
    frame = frame.with_columns(segment=pl.Series(names, dtype=pl.String).gather(frame["number"]))
    return {"segments": files.write_table(run, "segments", frame.drop("number"))}


def _settings(config: PipelineConfig) -> SegmentConfig:
    """Settings of the channel for newcomers if it is one of segments, else those of the one of that name."""
    for name in (config.merge.newcomers, "first_session"):
        _, settings = channel_settings(config, name)
        if isinstance(settings, SegmentConfig):
            return settings
    return SegmentConfig()


def _name(gender: int, age: int, vocabulary: Vocabulary) -> str:
    """all, gender=F, or gender=F|age=25."""
    if gender < 0:
        return "all"
    name = f"gender={vocabulary.categories['gender'][gender]}"
    return name if age < 0 else f"{name}|age={vocabulary.categories['age'][age]}"

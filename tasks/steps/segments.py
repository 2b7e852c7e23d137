"""Lists for users nobody knows, by what may be known of them."""

import numpy as np
import polars as pl

from models.encoding import Vocabulary
from models.recall.segment import Segment
from tasks import data
from tasks.step import step
from warehouse.runs import snapshot
from warehouse.runs.run import Run


@step("segments", reads=["events", "users"], writes=["segments"])
def recommend_segments(run: Run, top_n: int) -> dict[str, int]:
    """Write the top_n films of everybody, of each gender, and of each gender and age."""
    dataset, vocabulary = data.load(run)
    lists = Segment().fit(dataset).lists(min(top_n, dataset.n_items))
    names = [_name(gender, age, vocabulary) for gender, age in zip(lists.gender, lists.age, strict=True)]
    frame = data.candidate_rows(lists.top, np.arange(len(names)), vocabulary, "place")
    frame = frame.with_columns(segment=pl.Series(names, dtype=pl.String).gather(frame["place"]))
    return {"segments": snapshot.write_table(run, "segments", frame.drop("place"))}


def _name(gender: int, age: int, vocabulary: Vocabulary) -> str:
    """all, gender=F, or gender=F|age=25."""
    if gender < 0:
        return "all"
    name = f"gender={vocabulary.labels['gender'][gender]}"
    return name if age < 0 else f"{name}|age={vocabulary.labels['age'][age]}"

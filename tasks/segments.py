"""Lists for users nobody knows."""

import polars as pl

from models.recall.merge import fallback_order
from tasks import data
from tasks.step import step
from warehouse import snapshot
from warehouse.runs import Run


@step("segments", reads=["events", "users"], writes=["segments"])
def recommend_segments(run: Run, top_n: int) -> dict[str, int]:
    dataset, vocabulary = data.load(run)
    order = fallback_order(dataset)[:top_n]
    frame = pl.DataFrame(
        {
            "segment": "all",
            "rank": range(1, len(order) + 1),
            "item_id": vocabulary.item_ids[order],
            "score": 0.0,
        }
    )
    return {"segments": snapshot.write_table(run, "segments", frame)}

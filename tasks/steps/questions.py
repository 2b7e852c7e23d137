"""Films to ask newcomers about, for a questionnaire."""

import numpy as np
import polars as pl

from models.questions import choose_questions
from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.step import step
from warehouse.runs import files
from warehouse.runs.run import Run


@step("questions", reads=["events"], writes=["questions/films"])
def ask_about(run: Run) -> RowCounts:
    """Write the films whose answers say most about what else somebody likes, the most telling first."""
    data = run_data.load(run)
    found = choose_questions(data.dataset, data.config.questions)
    frame = pl.DataFrame(
        {
            "rank": np.arange(1, len(found.item) + 1),
            "item_id": data.vocabulary.item_ids[found.item],
            "explained": found.explained,
        }
    )
    return {"questions": files.write_table(run, "questions/films", frame)}

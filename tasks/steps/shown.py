"""The filters of what target users were shown lately."""

import numpy as np

from models import bloom
from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.metrics import metric_rows
from tasks.shards.recommend import SHOWN
from tasks.step import step
from warehouse.atomic import Staging
from warehouse.events.exposures import PUBLISHED
from warehouse.runs import files, shown
from warehouse.runs.run import Run

PROBES = 64
"""Films that each filter is asked for to measure how often it is wrong."""

MODEL = "bloom_filter"
"""The name of the filters in ``metrics``."""


@step("filter shown", reads=["exposures"], writes=["shown", "metrics/shown"])
def filter_shown(run: Run) -> RowCounts:
    """Write a Bloom filter of what each target user was shown lately; measure how often they are wrong."""
    data = run_data.load(run)
    config, n_items = data.config.exposure, data.dataset.n_items
    ranks = config.published_ranks if config.source == PUBLISHED else None
    n_pairs, n_bytes, wrong, n_probed = 0, 0, 0, 0
    with Staging() as staging:
        by_user = files.ColumnSink(
            staging, run.file(SHOWN), {"user_idx": np.int32, "n_bits": np.int32, "n_hashes": np.uint8}
        )
        bits = files.ColumnSink(staging, run.file(SHOWN), {"bits": np.uint8})
        for block in shown.read(run, data.target_users, config.window_days, ranks):
            user, item = block["user_idx"].to_numpy(), block["item_idx"].to_numpy()
            filters = bloom.build(user, item, config.false_positive_rate)
            found = bloom.false_positives(filters, user, item, n_items, PROBES, data.config.seed)
            wrong, n_probed = wrong + found[0], n_probed + found[1]
            n_pairs, n_bytes = n_pairs + len(user), n_bytes + sum(c.nbytes for c in filters.columns.values())
            by_user.write(filters.columns)
            bits.write({"bits": filters.bits})
        for sink in (by_user, bits):
            sink.finish()
        staging.commit()
    metrics = {
        "false_positive_rate": wrong / max(1, n_probed),
        "bytes_per_user": n_bytes / max(1, by_user.rows),
        "films_per_user": n_pairs / max(1, by_user.rows),
    }
    values = [("all", name, None, value) for name, value in metrics.items()]
    frame = metric_rows(run, "exposures", MODEL, config.source, values, by_user.rows)
    return {"shown": n_pairs, "metrics": files.write_table(run, "metrics/shown", frame)}

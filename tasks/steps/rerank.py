"""The prices of films that keep the cap on first pages, before lists are made shard by shard."""

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.pipeline import arms, stages
from models.rerank.stage import Reranking
from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.data import RunData
from tasks.shards import recommend as shard
from tasks.states import write_state
from tasks.step import step
from warehouse.runs.run import Run


@step("fit rerank", reads=["events", "models", "merge_weights", "newcomers"], writes=["models/reranking"])
def fit_rerank(run: Run) -> RowCounts:
    """Fit prices on the pools of some users; they begin with those of the release before.

    Those of a treatment arm keep the cap as if all users were in it.
    """
    data = run_data.load(run)
    with threadpool_limits(1, "blas"):
        fitted = {
            name: _fitted(data, name, label) for name, label in shard.fits(data.config, shard.RERANKING)
        }
    shard.forget()  # it was loaded without prices
    found = {name: stage for name, stage in fitted.items() if stage is not None}
    for name, stage in found.items():
        write_state(data, name, stage.state)
    return {"prices": sum(len(stage.price) for stage in found.values())}


def _fitted(data: RunData, name: str, label: str) -> Reranking | None:
    run, config = data.run, arms.variants(data.config)[label]
    users = stages.rerank_users(config, data.dataset)
    before = None if run.parent_id is None else shard.read_prices(data, run.parent(), name)
    pools = shard.ordered_pools(run, users, label) if len(users) else None
    return stages.fit_rerank(config, pools, data.dataset, shard.item_vectors(run), before)

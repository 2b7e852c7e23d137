"""The prices of films that keep the cap on first pages, before lists are made shard by shard."""

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.pipeline import stages
from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.shards import recommend as shard
from tasks.states import write_state
from tasks.step import step
from warehouse.runs.run import Run


@step("fit rerank", reads=["events", "models", "merge_weights"], writes=["models/reranking"])
def fit_rerank(run: Run) -> RowCounts:
    """Fit prices on the pools of some users; they begin with those of the release before."""
    data = run_data.load(run)
    users = stages.rerank_users(data.config, data.dataset)
    before = None if run.parent_id is None else shard.read_prices(data, run.parent())
    with threadpool_limits(1, "blas"):
        pools = shard.ordered_pools(run, users) if len(users) else None
        fitted = stages.fit_rerank(data.config, pools, data.dataset, shard.item_vectors(run), before)
    shard.forget()  # it was loaded without prices
    if fitted is None:
        return {"prices": 0}
    write_state(data, shard.RERANKING, fitted.state)
    return {"prices": len(fitted.price)}

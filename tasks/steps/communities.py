"""Communities of films, and how central each film is among those that are alike."""

import logging

from models.graph import find_communities as communities_of
from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.step import step
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")

PREFERRED = ("item_cf", "swing")
"""Channels whose similarities are the edges, those of them that recall; without any, all that have some."""


@step("communities", reads=["item_similarity"], writes=[run_data.COMMUNITIES])
def find_communities(run: Run) -> RowCounts:
    """Write the community and the centrality of each film in the graph of the fitted similarities."""
    data = run_data.load(run)
    names = run_data.similar_by(data)
    names = [name for name in PREFERRED if name in names] or names
    lists = [run_data.read_neighbours(data, name, data.config.graph.n_neighbours) for name in names]
    found = communities_of(lists, data.dataset.n_items, data.config.graph, data.config.seed)
    if names:
        about = found.community.max(), " and ".join(names)
        logger.info("%d communities of films that are alike by %s", *about)
    return {"item_communities": run_data.write_communities(data, found)}

"""What people ask the published release; errors say what to do."""

from typing import Any

from tasks import settings
from warehouse.errors import MatineeError
from warehouse.releases import queries, serving

Answer = dict[str, Any]

__all__ = ["Answer", "MatineeError", "recommend", "releases", "report", "rollback", "similar"]


def recommend(user_id: int, n: int) -> Answer:
    """A user's films, best first; ``segment`` is ``all`` for a user nobody knows, else None."""
    home = settings.home()
    known = queries.user(home, user_id)
    films = (
        queries.recommendations(home, user_id, n)
        if known
        else queries.default_recommendations(home, "all", n)
    )
    return {
        "user_id": user_id,
        "segment": None if known else "all",
        "user": known,
        "release_id": serving.current_release(home),
        "recommendations": films,
    }


def similar(item_id: int, channel: str, n: int) -> Answer:
    """The nearest films of a film. Raises MatineeError for an unknown film or channel."""
    home = settings.home()
    film = queries.item(home, item_id)
    return {
        "item": film,
        "channel": channel,
        "release_id": serving.current_release(home),
        "similar": queries.similar(home, item_id, channel, n),
    }


def report() -> Answer:
    """What there is to look at of the published release: see ``warehouse.releases.queries.report``."""
    home = settings.home()
    return queries.report(home) | {"releases": serving.releases(home)}


def releases() -> list[Answer]:
    """All releases, newest first, with ``current`` and ``kept``."""
    return serving.releases(settings.home())


def rollback(release: str | None) -> str:
    """Publish an earlier release again; returns its id. Raises MatineeError if there is none."""
    return serving.rollback(settings.home(), release)

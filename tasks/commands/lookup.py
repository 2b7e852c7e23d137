"""Look-ups in the published release; errors say what to do."""

from tasks import settings
from tasks.commands.answer import Answer
from warehouse.errors import MatineeError
from warehouse.releases import journal, queries, serving

SIMILAR_BY = ("ease", "item_cf", "mf")
"""Channels by how much the nearest films share with a film (docs/experiments.md), the best first."""

LIKED_BY = ("ease", "item_cf", "swing")
"""Channels that together say most of what somebody likes who names a few films (docs/experiments.md)."""

LISTED = 5
"""Films that an error names of those that a title may mean."""


def recommend(user_id: str, n: int) -> Answer:
    """A user's films, best first; ``segment`` is ``all`` for a user nobody knows, else None.

    Raises:
        MatineeError: the id is no whole number, or nothing is published.
    """
    home, user = settings.home(), user_of(user_id)
    about = queries.user(home, user)
    films = (
        queries.recommendations(home, user, n) if about else queries.default_recommendations(home, "all", n)
    )
    return {
        "user_id": user,
        "segment": None if about else "all",
        "user": about,
        "release_id": serving.current_release(home),
        "recommendations": films,
    }


def first_choice() -> dict[str, int] | None:
    """A user to ask about, and the first film of the list; None if nobody has one."""
    return queries.first_choice(settings.home())


def recommend_by_likes(likes: list[str], dislikes: list[str], n: int) -> Answer:
    """Films for somebody who is not in the data, best first, from the published similarities alone.

    Liked and disliked films are named by their ids or by words of their titles, several between commas. The
    score of a film adds up its similarities to the liked films less those to the others, in each channel as
    fractions of the largest that the named film has there.

    Raises:
        MatineeError: no film, or more than one, is named so; none is liked, or one is both; nothing is
            published.
    """
    home = settings.home()
    liked, disliked = (_films_of(texts) for texts in (likes, dislikes))
    both = [film["title"] for film in liked if film in disliked]
    if not liked or both:
        problem = f"{both[0]} cannot be liked and disliked" if both else "--likes names no film"
        raise MatineeError(f"{problem}: name films by id or title, several between commas")
    published = queries.similarity_channels(home)
    channels = [name for name in LIKED_BY if name in published] or published
    liked_ids, disliked_ids = ([film["item_id"] for film in films] for films in (liked, disliked))
    return {
        "likes": liked,
        "dislikes": disliked,
        "channels": channels,
        "release_id": serving.current_release(home),
        "recommendations": queries.recommend_by_likes(home, liked_ids, disliked_ids, channels, n),
    }


def questions(n: int) -> Answer:
    """Films to ask somebody about who is not in the data; the answers are for ``recommend_by_likes``.

    Raises:
        MatineeError: nothing is published, or by a version that chose none.
    """
    home = settings.home()
    found = queries.questions(home, n)
    if not found:
        raise MatineeError("the release has no questions: run `matinee nightly`")
    return {"release_id": serving.current_release(home), "questions": found}


def similar(film: str, channel: str | None, n: int) -> Answer:
    """The nearest films of a film, which is named by its id or by words of its title.

    ``channel`` None is the best of those that published similarities.

    Raises:
        MatineeError: no film, or more than one, is named so; or the channel published no similarities.
    """
    home, item = settings.home(), film_of(film)
    if channel is None:
        published = queries.similarity_channels(home)
        channel = next((name for name in (*SIMILAR_BY, *published) if name in published), SIMILAR_BY[0])
    return {
        "item": item,
        "channel": channel,
        "release_id": serving.current_release(home),
        "similar": queries.similar(home, item["item_id"], channel, n),
    }


def releases() -> list[Answer]:
    """All releases, newest first, with ``current``, ``kept`` and ``held``: those the gate holds come first.

    Of held ones also ``failed``: a line a check.
    """
    home = settings.home()
    held = [row | {"current": False, "kept": False, "held": True} for row in journal.held(home)]
    return [*held[::-1], *(row | {"held": False} for row in journal.releases(home))]


def publish(release: str, force: bool, why: str | None) -> str:
    """Publish a release that the gate holds, for a reason; returns its id.

    Raises:
        MatineeError: it is not held, or not said to be forced and why.
    """
    if not force or not (why or "").strip():
        raise MatineeError(
            f'to publish what the gate holds, say so and why: matinee publish {release} --force --why "..."'
        )
    from tasks.steps.publish import publish_held

    publish_held(settings.home(), release, str(why).strip())
    return release


def rollback(release: str | None) -> str:
    """Publish an earlier release again; returns its id.

    Raises:
        MatineeError: there is none, or it is not kept.
    """
    from warehouse.releases.rollback import roll_back

    return roll_back(settings.home(), release)


def user_of(text: str) -> int:
    """The user id that a text names.

    Raises:
        MatineeError: it is no whole number.
    """
    user = _whole_number(text)
    if user is None:
        raise MatineeError(f"'{text}' is no user id: ids are whole numbers")
    return user


def film_of(text: str) -> Answer:
    """The film that is named by its id or by words of its title.

    Raises:
        MatineeError: none, or more than one, is named so.
    """
    item_id = _whole_number(text)
    return _by_title(text) if item_id is None else queries.item(settings.home(), item_id)


def _films_of(texts: list[str]) -> list[Answer]:
    """The distinct films that are named between commas, which titles may have too."""
    films = queries.titles(settings.home())
    whole = {_plain(name): film for film in films for name in (film["title"], _without_year(film))}
    found: list[Answer] = []
    for text in texts:
        parts = text.split(",")
        while parts:
            n = next((n for n in range(len(parts), 1, -1) if _plain(",".join(parts[:n])) in whole), 1)
            name = ",".join(parts[:n]).strip()
            if name:
                found.append(whole[_plain(name)] if n > 1 else film_of(name))
            parts = parts[n:]
    return list({film["item_id"]: film for film in found}.values())


def _plain(title: str) -> str:
    return title.strip().casefold()


def _without_year(film: Answer) -> str:
    title: str = film["title"]
    return title.removesuffix(f" ({film['year']})")


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _by_title(text: str) -> Answer:
    """The one film whose title has these words."""
    films = queries.items_by_title(settings.home(), text)
    if not films:
        raise MatineeError(f"no title has the words '{text}': write a film's id, or words of its title")
    if len(films) > 1:
        named = ", ".join(f"{film['item_id']} {film['title']}" for film in films[:LISTED])
        more = f" and {len(films) - LISTED} more" if len(films) > LISTED else ""
        raise MatineeError(f"'{text}' may be {named}{more}: choose one by its id")
    return films[0]

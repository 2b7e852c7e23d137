"""Declarations that make no sense are refused, in one line that says which and why."""

import tomllib
from importlib.resources import files

import pytest

from models.features.declare import declarations

FEATURES = tomllib.loads((files("tasks") / "features.toml").read_text())


def block(kind: str, **more: object) -> dict[str, object]:
    return {"name": "x", "about": "for the test", "kind": kind, **more}


COUNT = block("log", statistic="count", type="BIGINT")
FOLLOWERS = {"compute": "followers", "position": 0, "nearest": 1, "farthest": 1, "half_life_days": 14}


def test_those_of_the_project_are_read() -> None:
    read = declarations(FEATURES)
    default = [one for blocks in FEATURES.values() for one in blocks if not one.keys() & {"sql", "optional"}]
    assert len(read) == len(default) > 40
    assert len({feature.column for feature in read}) == len(read)


def test_what_is_only_published_is_not_read() -> None:
    assert declarations({"user": [block("time", sql="count(*)", type="BIGINT")]}) == ()


@pytest.mark.parametrize(
    ("side", "wrong", "problem"),
    [
        ("user", block("numeric"), "one source"),
        ("user", block("numeric", statistic="mean", attribute="age"), "one source"),
        ("user", block("numeric", statistic="mean", sql="1", type="BIGINT"), "one source"),
        ("user", block("round", statistic="mean"), "unknown kind 'round', not numeric"),
        ("item", block("numeric", compute="hour"), "a feature of item has no compute"),
        ("item", block("numeric", attribute="yaer"), "unknown attribute 'yaer', not index, year, genres"),
        ("user", block("numeric", statistic="cuont"), "unknown statistic 'cuont', not count"),
        ("user", block("numeric", statistic="count", windwo_days=3), "count: .*windwo_days"),
        ("user", block("numeric", statistic="decayed_count"), "decayed_count: missing .*half_life_days"),
        ("user", block("numeric", attribute="age", position=1), "age: .*position"),
        ("channel", block("numeric", compute="rank"), "unknown compute 'rank', not score, gap, discount"),
        ("context", block("bucketed", compute="hour"), "edges"),
        ("context", block("bucketed", compute="hour", edges=[3, 1]), "edges"),
        ("context", block("categorical", compute="hour"), "size"),
        # Types of columns and values.
        ("user", COUNT | {"type": "BIGNIT"}, "type: Input should be 'BOOLEAN', 'INTEGER', 'BIGINT'"),
        ("user", COUNT | {"type": 3}, "type: "),
        ("user", block("time", sql="min(event_at)"), "sql is published, so it needs a type"),
        ("user", block("time", sql="min(event_at)", type="TIMESTAMP", days=3), "unknown key days"),
        ("context", block("numeric", compute="hour", type="BIGINT"), "only a statistic or sql of a user"),
        ("user", block("categorical", attribute="age", type="BIGINT"), "only a statistic or sql of a user"),
        ("user", COUNT | {"about": 3}, "about: Input should be a valid string"),
        ("user", COUNT | {"statistic": 3}, "statistic: Input should be a valid string"),
        ("user", COUNT | {"default": "0"}, "default: Input should be a valid number"),
        ("context", block("categorical", compute="hour", size=0), "size: Input should be greater than 0"),
        ("item", block("bucketed", attribute="year", edges="1990"), "edges: Input should be a valid list"),
        ("user", COUNT | {"window_days": 0}, "count: window_days: Input should be greater than 0"),
        ("user", COUNT | {"window_days": "7"}, "count: window_days: Input should be a valid number"),
        (
            "cross",
            block("log", **FOLLOWERS | {"position": -1}),
            "followers: position: .* greater than or equal to 0",
        ),
        ("cross", block("log", **FOLLOWERS | {"nearest": 1.5}), "followers: nearest: .* valid integer"),
        (
            "cross",
            block("log", **FOLLOWERS | {"half_life_days": 0}),
            "followers: half_life_days: .* greater than 0",
        ),
        # Keys that nothing would read.
        ("user", COUNT | {"edges": [1.0]}, "edges is for bucketed, sequence, not for log"),
        ("item", block("bucketed", attribute="year", edges=[1.0], default=0), "default is for numeric, log"),
        ("user", COUNT | {"embedding": "item_id"}, "embedding is for .*, not for log"),
        ("user", COUNT | {"optional": True}, "what is published is not optional"),
        # Kinds that their values do not have.
        ("item", block("multi_hot", attribute="title"), "title is hashed, which needs a size of 2"),
        ("item", block("categorical", attribute="title", size=9), "title is multi_hot or tfidf, not"),
        (
            "item",
            block("multi_hot", attribute="genres", size=9),
            "size is for codes and hashes, not for",
        ),
        ("user", block("sequence", compute="newest_years", newest=3), "a sequence of years needs edges"),
        (
            "user",
            block("sequence", compute="newest_items", newest=3, edges=[1.0]),
            "a sequence of years needs edges, and no other has any",
        ),
        ("user", block("categorical", compute="newest_items", newest=3), "newest_items is sequence, not"),
        ("user", block("sequence", attribute="age"), "age is a number or code, not sequence"),
        ("item", block("multi_hot", attribute="year"), "year is a number or code, not multi_hot"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(
    side: str, wrong: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=rf"^feature {side}\.x: .*{problem}") as refused:
        declarations({side: [wrong]})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [None, 3, "n ratings", "Ratings", ""])
def test_a_feature_needs_a_name_that_can_be_a_column(name: object) -> None:
    with pytest.raises(ValueError, match=rf"^feature user\.{name}: name: ") as refused:
        declarations({"user": [COUNT | {"name": name}]})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("side", "first", "other_side", "second"),
    [
        ("user", COUNT, "user", block("numeric", statistic="mean")),
        ("user", COUNT, "user", block("time", sql="1", type="BIGINT")),
        ("item", COUNT, "cross", block("numeric", compute="n_channels", name="item_x")),
    ],
)
def test_a_name_stands_for_one_feature(
    side: str, first: dict[str, object], other_side: str, second: dict[str, object]
) -> None:
    declared = {side: [first, second]} if side == other_side else {side: [first], other_side: [second]}
    with pytest.raises(ValueError, match=rf"^feature {other_side}\.\w+: there is another feature {side}_x$"):
        declarations(declared)
    # The same of a user and of an item are two.
    assert len(declarations({"user": [COUNT], "item": [COUNT]})) == 2


def test_sections_are_those_that_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"^unknown section 'film', not user, item, context, cross, channel$"
    ):
        declarations({"film": [COUNT]})
    for blocks in (COUNT, "count", [1]):
        with pytest.raises(ValueError, match=r"^section user: each feature begins with \[\[user\]\]$"):
            declarations({"user": blocks})

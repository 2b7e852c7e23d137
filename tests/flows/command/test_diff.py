"""The difference between two releases, against one computed by hand."""

import math
from pathlib import Path

import pytest

from tests.flows.command import release
from tests.flows.command.conftest import Matinee, read


@pytest.fixture(autouse=True)
def two(home: Path, wide: None) -> None:
    """Every test here has two releases, the second one made of the first, and a terminal of 100 columns."""
    release.write_second(home)


def diff(matinee: Matinee, *words: str) -> dict:
    answer = read(matinee("diff", *words, "--json"))
    assert isinstance(answer, dict)
    return answer


def test_lists_are_compared_user_by_user_and_by_segment(matinee: Matinee) -> None:
    answer = diff(matinee)
    assert (answer["release"]["release_id"], answer["against"]["release_id"]) == (
        release.SECOND,
        release.RELEASE,
    )
    assert answer["users"] == {"release": 2, "against": 2, "both": 2}
    # User 1: 1 2 3 4 5 became 2 1 3 4 9, so agreement is 0, 1, 1, 1, 4/5, and stays 4/5 beyond.
    moved = 0.1 * (0.9 + 0.9**2 + 0.9**3 + 0.8 * 0.9**4) + 0.8 * 0.9**5
    assert answer["segments"] == [
        {
            "segment": name,
            "users": users,
            "overlap": overlap,
            "rank_biased_overlap": pytest.approx(rbo),
            "same": same,
        }
        for name, users, overlap, rbo, same in (
            ("all", 2, 0.9, (moved + 1) / 2, 0.5),
            ("with new ratings", 2, 0.9, (moved + 1) / 2, 0.5),
            ("newcomers", 1, 1.0, 1.0, 1.0),
        )
    ]
    assert [(user["user_id"], user["n_ratings"], user["new_ratings"]) for user in answer["moved"]] == [
        (1, 22, 2)
    ]
    users = {row["films"]: row["users"] for row in answer["overlaps"]}
    assert (users[4], users[5], sum(users.values())) == (1, 1, 2)


def test_films_are_compared_by_the_fraction_of_first_pages_that_have_them(matinee: Matinee) -> None:
    answer = diff(matinee)
    films = [
        (name, film["item_id"], film["pages"], film["pages_before"])
        for name in ("risen", "fallen")
        for film in answer[name]
    ]
    assert films == [("risen", 9, 0.5, 0.0), ("fallen", 5, 0.5, 1.0)]
    assert answer["fallen"][0]["title"] == "Sixth Sense, The (1999)"


def test_metrics_of_means_over_users_have_an_interval_and_settings_their_values(matinee: Matinee) -> None:
    answer = diff(matinee)
    by_name = {(row["model"], row["metric"]): row for row in answer["metrics"]}
    ndcg = by_name["gbdt", "ndcg"]
    assert (ndcg["value"], ndcg["before"], ndcg["n_users"]) == (pytest.approx(0.07), 0.06, 12)
    half = 1.96 * math.sqrt((0.06 * 0.94 + 0.07 * 0.93) / 12)
    assert (ndcg["ci_low"], ndcg["ci_high"]) == (pytest.approx(0.01 - half), pytest.approx(0.01 + half))
    weight = by_name["gbdt", "blend_weight"]
    assert (weight["change"], weight["ci_low"]) == (-0.25, None)
    assert answer["settings"] == [
        {"setting": "seed", "value": 1, "before": None},
        {"setting": "rank.ranker", "value": "gbdt", "before": None},
    ]


def test_two_releases_are_compared_in_the_order_in_which_they_are_named(matinee: Matinee) -> None:
    answer = diff(matinee, release.RELEASE, release.SECOND)
    assert [film["item_id"] for film in answer["risen"]] == [5]
    assert diff(matinee, release.SECOND, release.SECOND)["moved"] == []


def test_the_screen_says_what_changed(matinee: Matinee) -> None:
    called = matinee("diff")
    assert (called.code, called.err) == (0, "")
    text = " ".join(called.out.split())
    assert f"Release {release.SECOND} against {release.RELEASE}" in text
    assert "all 2 90.0%" in text
    assert "Terminator 2: Judgment Day (1991) 50.0% 0.0%" in text
    assert "gbdt NDCG@10 0.0700 0.0600 +0.0100 ±" in text
    assert "seed 1 None" in text


def test_what_cannot_be_compared_is_one_line(home: Path, matinee: Matinee) -> None:
    called = matinee("diff", release.RELEASE)
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert f"there is none before release {release.RELEASE}: name two" in called.err
    assert "release nonsense is not kept: `matinee releases`" in matinee("diff", "nonsense").err

"""Questions to what is published: lists, similar films, releases."""

import json
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.flows.command import release
from tests.flows.command.conftest import Matinee, read


@pytest.fixture(autouse=True)
def published(home: Path, wide: None) -> None:
    """Every test here has a release and a terminal of 100 columns."""


def test_a_list_has_its_films_in_order_with_their_reasons_as_they_are(matinee: Matinee) -> None:
    called = matinee("recommend", "1", "-n", "2")
    assert (called.code, called.err) == (0, "")
    assert "woman · age group 25 · 20 ratings · mean 3.50 · likes Drama" in called.out
    first, second = (line for line in called.out.splitlines() if "You saw" in line)
    assert [first.split()[0], second.split()[0]] == ["1", "2"]
    assert "Toy Story " in first
    assert "You saw [rec] [/x]" in first
    assert release.RELEASE in called.out


def test_a_user_without_ratings_or_demographics_is_described_all_the_same(matinee: Matinee) -> None:
    assert "0 ratings\n" in matinee("recommend", "2").out


def test_an_unknown_user_gets_the_list_for_everybody_and_a_note(matinee: Matinee) -> None:
    called = matinee("recommend", "99")
    assert called.code == 0
    assert called.err == "User 99 is unknown: this is the list for everybody (segment all).\n"
    assert "Titanic" in called.out


def test_json_says_whose_list_it_is(matinee: Matinee) -> None:
    answer = read(matinee("recommend", "1", "-n", "3", "--json"))
    assert isinstance(answer, dict)
    assert (answer["user_id"], answer["segment"], answer["release_id"]) == (1, None, release.RELEASE)
    assert [film["item_id"] for film in answer["recommendations"]] == [1, 2, 3]


SIMILAR = """
insert into item_similarity values
    ('ease', 1, 2, 1, 0.5), ('ease', 1, 4, 2, 0.25), ('ease', 1, 9, 3, 0.125),
    ('ease', 5, 4, 1, 0.5), ('ease', 5, 1, 2, 0.25), ('ease', 5, 7, 3, 0.125),
    ('ease', 3, 9, 1, 0.25), ('ease', 3, 8, 2, 0.25)
"""


def test_somebody_who_names_films_gets_those_like_them(matinee: Matinee, home: Path) -> None:
    release.execute(home, SIMILAR)
    words = ["recommend", "--likes", "sixth sense, the (1999), 1", "--dislikes", "Titanic (1953)"]
    answer = read(matinee(*words, "-n", "5", "--json"))
    assert isinstance(answer, dict)
    assert [film["item_id"] for film in answer["likes"]] == [5, 1]
    assert [film["item_id"] for film in answer["dislikes"]] == [3]
    found = [
        (film["rank"], film["item_id"], film["score"], film["because_item_id"], film["reason"])
        for film in answer["recommendations"]
    ]
    popular = "Popular with everybody"
    assert found == [
        (1, 2, 3.0, 1, "Because you like Toy Story (1995)"),
        (2, 4, 2.5, 1, "Because you like Toy Story (1995)"),  # 1.5 by three channels, 1 for the other film
        (3, 7, 0.25, 5, "Because you like Sixth Sense, The (1999)"),
        (4, 6, 0, None, popular),  # 9 is nearer to a disliked film than to a liked one
        (5, 8, 0, None, popular),
    ]
    every, one = ["ease", "item_cf", "swing"], ["ease"]
    assert [film["channels"] for film in answer["recommendations"]] == [every, every, one, [], []]
    assert answer["channels"] == every


def test_named_films_and_reasons_are_shown(matinee: Matinee, home: Path) -> None:
    release.execute(home, SIMILAR)
    called = matinee("recommend", "--likes", "Titanic (1997), Terminator, The", "--likes", "1", "-n", "1")
    assert (called.code, called.err) == (0, "")
    assert "likes Titanic (1997), Terminator, The (1984), Toy Story (1995)" in called.out
    assert "Because you like Toy Story (1995)" in called.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--likes", "titanic"], "'titanic' may be 4 Titanic (1997), 3 Titanic (1953)"),
        (["--likes", " , "], "--likes names no film"),
        (["--dislikes", "1"], "--likes names no film"),
        (["--likes", "1,5", "--dislikes", "5"], "Sixth Sense, The (1999) cannot be liked and disliked"),
        (["--likes", "1,99"], "no film has the id 99"),
    ],
)
def test_films_that_cannot_be_gone_by_are_one_line(words: list[str], message: str, matinee: Matinee) -> None:
    called = matinee("recommend", *words)
    assert (called.code, called.out) == (2, "")
    assert message in called.err
    assert called.err.count("\n") == 1


@pytest.mark.parametrize("film", ["1", "toy story", "Toy Story (1995)", "STORY, toy", "toy story 1995"])
def test_a_film_is_named_by_its_id_or_its_title(film: str, matinee: Matinee) -> None:
    called = matinee("similar", film)
    assert (called.code, called.err) == (0, "")
    assert "Films like Toy Story (1995), by item_cf" in called.out
    assert "Toy Story 2" in called.out


@pytest.mark.parametrize(
    ("words", "item_id"),
    [
        ("the sixth sense", 5),
        ("titanic 1953", 3),
        ("miserables", 6),
        ("childs play", 7),
        ("child's play", 7),
        ("terminator", 8),
        ("judgment", 9),
    ],
)
def test_a_title_is_found_whatever_its_article_accents_and_order(
    words: str, item_id: int, matinee: Matinee
) -> None:
    answer = read(matinee("similar", words, "--json"))
    assert isinstance(answer, dict)
    assert answer["item"]["item_id"] == item_id


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["titanic"], "'titanic' may be 4 Titanic (1997), 3 Titanic (1953): choose one by its id"),
        (["t"], "and 2 more: choose one by its id"),
        (["casablanca"], "no title has the words 'casablanca'"),
        (["?"], "no title has the words '?'"),
        (["99"], "no film has the id 99"),
        (
            ["1", "--channel", "magic"],
            "no channel 'magic' has published similarities",
        ),
    ],
)
def test_a_film_that_is_none_or_many_is_one_line(words: list[str], message: str, matinee: Matinee) -> None:
    called = matinee("similar", *words)
    assert (called.code, called.out) == (2, "")
    assert message in called.err
    assert called.err.count("\n") == 1


def test_similar_goes_by_the_best_channel_that_is_published(matinee: Matinee, home: Path) -> None:
    def channel() -> str:
        answer = read(matinee("similar", "1", "--json"))
        assert isinstance(answer, dict)
        return str(answer["channel"])

    assert channel() == "item_cf"
    release.execute(home, "insert into item_similarity values ('ease', 1, 2, 1, 1.0)")
    assert channel() == "ease"
    release.execute(home, "delete from item_similarity where channel <> 'swing'")
    assert channel() == "swing"
    release.execute(home, "delete from item_similarity")
    assert "there are: none" in matinee("similar", "1").err


WAY = {
    "user_id": 1,
    "item": {"item_id": 1, "title": "Toy Story [x] (1995)"},
    "release_id": "newer",
    "computed_by": release.RELEASE,
    "carried_over": True,
    "published": {"rank": 2, "reason": "Because you liked Babe (1995)"},
    "lost": None,
    "verdict": "recalled by swing at 212 and ease at 7, merged at 31, ranked at 2: in the list",
    "agrees": True,
    "seen": None,
    "recall": [
        {"channel": "swing", "rank": 212, "score": 0.001, "contribution": 0.25},
        {"channel": "ease", "rank": 7, "score": 0.5, "contribution": 1.5},
        {"channel": "popular", "rank": None, "score": None, "contribution": 0.0},
    ],
    "merge": {"rank": 31, "score": 1.75, "pool": 300},
    "prerank": {"rank": 40, "score": 0.5},
    "rank": {
        "rank": 2,
        "score": 2.5,
        "ranker": "gbdt",
        "blend_weight": 0.75,
        "alone": {"rank": 3, "score": 2.75},
        "features": [{"feature": "ease_score", "contribution": 0.625}],
    },
    "rerank": None,
    "newcomer": {"n_ratings": 3, "until": 10, "channel": "first_session"},
}


def test_the_way_of_a_film_is_shown_stage_by_stage(matinee: Matinee, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.commands.why.why", lambda user_id, film: WAY)
    called = matinee("why", "1", "toy story")
    assert (called.code, called.err) == (0, "")
    lines = [line.split() for line in called.out.splitlines() if line.strip()]
    assert "Toy Story [x] (1995) for user 1: at 2 of the list" in called.out
    assert "Recalled by swing at 212 and ease at 7, merged at 31" in called.out
    assert "Because you liked Babe (1995)" in called.out
    assert "A newcomer, with 3 of 10 ratings: first_session alone answers" in called.out
    assert ["ease", "7", "0.5", "1.500"] in lines
    assert ["swing", "212", "0.001", "0.250"] in lines
    assert not [line for line in lines if line[0] == "popular"]
    assert ["merge", "31", "1.7500"] in lines
    assert ["pre-rank", "40", "0.5000"] in lines
    assert ["gbdt", "alone", "3", "2.7500"] in lines
    assert ["rank", "2", "2.5000"] in lines
    assert ["ease_score", "+0.625"] in lines
    assert f"release newer, which took the list over from {release.RELEASE}" in called.out
    assert read(matinee("why", "1", "toy story", "--json")) == WAY


def test_a_film_that_was_lost_says_where(matinee: Matinee, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = dict.fromkeys(("published", "newcomer", "merge", "prerank", "rank", "rerank"))
    lost = WAY | nothing | {"lost": "seen", "verdict": "rated 4 on 2000-12-01", "carried_over": False}
    monkeypatch.setattr("tasks.commands.why.why", lambda user_id, film: lost)
    called = matinee("why", "1", "1")
    assert "for user 1: not in the list" in called.out
    assert "Rated 4 on 2000-12-01" in called.out
    assert called.out.splitlines()[-1].strip() == "release newer"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one", "1"], "'one' is no user id"),
        (["99", "1"], "nobody knows user 99"),
        (["1", "99"], "no film has the id 99"),
        (["1", "1"], "what it had learned is gone"),
    ],
)
def test_a_way_that_is_not_found_is_one_line(words: list[str], message: str, matinee: Matinee) -> None:
    called = matinee("why", *words)
    assert (called.code, called.out) == (2, "")
    assert message in called.err
    assert called.err.count("\n") == 1


def test_releases_are_listed(matinee: Matinee) -> None:
    called = matinee("releases")
    (line,) = (line for line in called.out.splitlines() if release.RELEASE in line)
    assert line.split()[0] == "current"
    assert "450" in line
    assert "[ml]" in called.out
    rows = read(matinee("releases", "--json"))
    assert isinstance(rows, list)
    assert [row["release_id"] for row in rows] == [release.RELEASE]


def test_held_releases_come_first_and_say_what_fails(home: Path, matinee: Matinee) -> None:
    (row,) = read(matinee("releases", "--json"))
    held = {name: value for name, value in row.items() if name not in ("current", "kept", "held", "why")}
    held |= {"release_id": "20260102-000000-000000", "failed": ["top film: 0.9 [of] pages (at most 0.5)"]}
    (home / "serving" / "held-20260102-000000-000000.json").write_text(json.dumps(held))
    lines = matinee("releases").out.splitlines()
    (first,) = (line for line in lines if line.split()[:1] == ["held"])
    assert "20260102-000000-000000" in first
    assert lines[-1] == "20260102-000000-000000  top film: 0.9 [of] pages (at most 0.5)"
    assert [row["held"] for row in read(matinee("releases", "--json"))] == [True, False]


@pytest.mark.parametrize("words", [[], ["--force"], ["--why", "x"], ["--force", "--why", " "]])
def test_what_is_held_is_published_only_on_purpose(matinee: Matinee, words: list[str]) -> None:
    called = matinee("publish", "20260102-000000-000000", *words)
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "--force --why" in called.err


def test_there_is_no_way_back_from_the_only_release(matinee: Matinee) -> None:
    for words, message in (
        ([], "there is no earlier release"),
        (["older"], "release older is not kept here"),
    ):
        called = matinee("rollback", *words)
        assert (called.code, called.out) == (2, "")
        assert called.err.startswith(f"matinee: {message}")
        assert called.err.count("\n") == 1


def test_nothing_published_says_what_to_do(
    matinee: Matinee, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path_factory.mktemp("empty")))
    for words in (["recommend", "1"], ["similar", "toy story"], ["report"]):
        called = matinee(*words)
        assert (called.code, called.out) == (2, "")
        assert "run `matinee nightly` first" in called.err
        assert called.err.count("\n") == 1


def test_the_examples_of_the_documentation_run(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    page = (Path(__file__).parents[3] / "docs" / "query.md").read_text()
    examples = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "s3" not in block]
    functions = re.findall(r"^from \w+\(.*\)", page, re.MULTILINE)
    assert (len(examples), len(functions)) == (2, 3)
    folder = tmp_path_factory.mktemp("docs")
    (folder / "data").symlink_to(home)
    monkeypatch.chdir(folder)
    for example in examples:
        exec(example, {})
    with duckdb.connect("data/serving/current.duckdb", read_only=True) as con:
        for function in functions:
            con.execute(function)


def test_films_to_ask_about_are_shown_in_their_order_with_their_ids(matinee: Matinee, home: Path) -> None:
    called = matinee("recommend", "--ask", "--json")
    answer = json.loads(called.out)
    assert [(film["rank"], film["item_id"], film["explained"]) for film in answer["questions"]] == [
        (1, 3, 0.2),
        (2, 1, 0.3),
    ]
    shown = matinee("recommend", "--ask", "-n", "1").out
    assert answer["questions"][0]["title"].partition(" (")[0] in shown
    assert answer["questions"][1]["title"].partition(" (")[0] not in shown
    assert "matinee recommend --likes" in shown


def test_a_release_without_questions_says_how_to_get_some(matinee: Matinee, home: Path) -> None:
    release.execute(home, "delete from questions")
    called = matinee("recommend", "--ask")
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "the release has no questions: run `matinee nightly`" in called.err


def test_explore_serves_the_notebook_over_the_published_file(
    matinee: Matinee, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        started.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert matinee("explore", "--port", "8080").code == 0
    ((*_, host, _, port, _, _, file),) = started
    assert (host, port, Path(file)) == ("127.0.0.1", "8080", home / "serving" / "current.duckdb")
    monkeypatch.setitem(sys.modules, "marimo", None)
    assert "pip install 'matinee[explore]'" in matinee("explore").err

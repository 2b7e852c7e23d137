"""The page of ``matinee report``: complete in itself, readable on a phone, without seeing, in the dark."""

import hashlib
import json
import re
from base64 import b64encode
from datetime import datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from flows.command.pages import report
from tasks.commands import report as command
from tests import home as homes
from tests.flows.command import release
from tests.flows.command.conftest import Matinee, read

HOSTILE = "</script><img src=x onerror=alert(1)>"

VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """The tags of a page with their attributes and the text in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.text = html, ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[int] = []
        self.texts: dict[int, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.inside.append(len(self.tags))
        self.texts[len(self.tags)] = ""
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.tags[self.inside.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for number in self.inside:
            self.texts[number] += data
        if self.inside and self.tags[self.inside[-1]][0] not in ("script", "style"):
            self.text += f" {' '.join(data.split())}"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def texts_of(self, *tags: str) -> list[str]:
        """The text in each such tag, in order."""
        return [self.texts[number].strip() for number, (name, _) in enumerate(self.tags) if name in tags]

    def charts(self) -> dict[str, dict]:
        """The charts' specifications by their titles."""
        numbers = {str(of["id"]): number for number, (tag, of) in enumerate(self.tags) if tag == "figure"}
        titles = {name: self.tags[number + 2] for name, number in numbers.items()}
        assert {tag for tag, _ in titles.values()} == {"h3"}
        specs = json.loads(self.texts_of("script")[0])
        return {self.texts[numbers[name] + 2]: specs[name] for name in titles}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a release with one before it, and a log of two ratings, one of them later."""
    home = release.write(tmp_path_factory.mktemp("home"))
    release.write_second(home)
    event = {"user_id": [1, 1], "item_id": [7, 8], "rating": [4.0, 2.5], "batch": [1, 1], "line": [1, 2]}
    moments = [datetime(2002, 1, 1), datetime(2003, 6, 1)]
    homes.write_batch(home, pl.DataFrame(event | {"event_at": moments}), 1)
    return Page(report.html(command.read(home, release.SECOND)))


def page(home: Path, matinee: Matinee, *words: str) -> Page:
    called = matinee("report", *words)
    assert (called.code, called.err) == (0, "")
    assert str(home / "report.html") in called.out
    return Page((home / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_one_small_file_that_needs_no_network(two: Page) -> None:
    assert len(two.html.encode()) < 3_000_000
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in two.all("meta")
    assert two.all("html") == [{"lang": "en"}]
    assert not two.all("link")
    assert not two.inside, "every tag is closed"
    links = [value for _, of in two.tags for name, value in of.items() if name in ("src", "href")]
    assert all(str(link).startswith("#") for link in links)
    (policy,) = (of["content"] for of in two.all("meta") if of.get("http-equiv"))
    scripts = two.texts_of("script")[1:]
    raw = re.findall(r"<script>(.*?)</script>", two.html, re.DOTALL)
    digests = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in raw]
    assert len(scripts) == len(raw) == 2
    assert re.findall("'sha256-(.*?)'", str(policy)) == digests, "these scripts run, and no others"
    assert "default-src 'none'" in str(policy)


def test_headings_links_and_labels_lead_through_the_page(two: Page) -> None:
    levels = [int(tag[1]) for tag, _ in two.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [of["id"] for _, of in two.tags if "id" in of]
    assert len(ids) == len(set(ids))
    assert {str(link["href"]).removeprefix("#") for link in two.all("a")} <= set(ids)
    assert {of["for"] for of in two.all("label")} == {of["id"] for of in two.all("select")}
    assert {of["data-articles"] for of in two.all("select")} <= set(ids)
    assert {of["value"] for of in two.all("option")} == {of["id"] for of in two.all("article")}
    assert len(two.all("table")) == len(two.all("caption"))
    assert {of["scope"] for of in two.all("th")} == {"col", "row"}


def test_every_chart_has_a_title_and_says_in_words_what_it_shows(two: Page) -> None:
    labels = [str(of["aria-label"]) for of in two.all("div") if of.get("role") == "img"]
    assert list(two.charts()) == [
        "NDCG@10 by model",
        "How much of a first page stayed",
        "Drift of new ratings",
        "Channels by contribution",
        "NDCG@10 by weight of the ranker",
        "Reliability of the ranker's probabilities",
        "Training of dssm",
        "Training of two_tower",
        "Popularity amplified",
        "Films that are alike",
        "Lineage of the steps",
    ]
    assert [label.partition(". ")[0] for label in labels] == list(two.charts())
    text = " ".join(labels)
    for words in (
        "0% of the users have the same ten films",
        "Nearest to its limit is genre: 0.500 of 0.250.",
        "popular gives most to 100% of the places",
        "Weight 0 is the merged list (0.0625), 1 the ranker alone (0.0875); the best is 0.0875.",
        "In the highest bin: isotonic 0.125 watched of 0.100 predicted.",
        "Loss 5.5000 to 5.2500, validation NDCG@10 0.1600 to 0.1700 in 2 epochs.",
        "The most rated tenth of the films has 20% of all ratings and 10% of the places on first pages.",
        "The 4 most central films; 3 lines join nearest neighbours",
    ):
        assert words in text


def test_colours_stand_out_in_the_light_and_in_the_dark() -> None:
    css = (Path(report.__file__).parent / "templates" / "report.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w+)", part)) for part in css.split("prefers-color-scheme: dark")
    )

    def luminance(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colors in (light, dark):
        assert colors.keys() == light.keys()
        for name in colors.keys() - {"back", "box", "line"}:
            for back in ("back", "box") if not name.startswith("c") else ("back",):
                bright, faint = sorted((luminance(colors[name]), luminance(colors[back])), reverse=True)
                assert (bright + 0.05) / (faint + 0.05) >= 4.5, (name, back)


def test_texts_from_outside_are_text_and_never_markup(home: Path, matinee: Matinee) -> None:
    release.execute(
        home,
        f"update items set title = '{HOSTILE}', genres = ['{HOSTILE}'] where item_id = 1;"
        f"update recommendations set title = '{HOSTILE}', reason = '{HOSTILE}', channels = ['{HOSTILE}'];"
        f"update item_similarity set channel = '{HOSTILE}'; update releases set source = '{HOSTILE}';"
        f"update lineage set step = '{HOSTILE}' where step = 'features'",
    )
    found = page(home, matinee)
    assert not found.all("img")
    assert not [name for _, of in found.tags for name in of if name.startswith("on")]
    assert len(found.all("script")) == 3
    assert HOSTILE in found.text
    charts = found.charts()
    assert HOSTILE in json.dumps(charts["Films that are alike"])
    assert HOSTILE in json.dumps(charts["Channels by contribution"])
    assert HOSTILE in json.dumps(charts["Lineage of the steps"])


def test_the_verdict_comes_first(home: Path, matinee: Matinee) -> None:
    release.execute(
        home,
        f"insert into checks values ('{release.RELEASE}', 'events', 'clock', true, 0, 301, true, 'clock')",
    )
    assert " Published. 1 of 1 checks passed. " in page(home, matinee).text[:200]


def test_a_held_release_says_what_holds_it_and_what_to_do(home: Path, matinee: Matinee) -> None:
    release.write_second(home, held=True)
    text = page(home, matinee, release.SECOND).text
    assert "Held: not published with 1 warning. 1 of 3 checks passed; what was published before stays" in text
    blocking, warning = (
        text.index(f"{check} {outcome}")
        for check, outcome in (("top film", "blocks"), ("drift: genre", "warns"))
    )
    assert blocking < warning < text.index("Quality")
    assert f"matinee publish {release.SECOND} --force --why" in text
    assert f"Compared with {release.RELEASE}" in text, "what it would take the place of"
    assert release.RELEASE in page(home, matinee).text[:200], "what is published is another one"


def test_quality_is_held_against_popularity_and_the_release_before(
    home: Path, two: Page, matinee: Matinee
) -> None:
    release.write_second(home)
    assert "gbdt beside the merged list has NDCG@10 0.0700 on the ratings held back." in two.text
    assert "Popularity alone has 0.0500: that is +40.0%." in two.text
    assert (
        f"Release {release.RELEASE} had 0.0600 on its own holdout; chance alone may explain this change."
        in two.text
    )
    against = page(home, matinee, release.RELEASE, "--against", release.SECOND).text
    assert f"Release {release.SECOND} had 0.0700" in against
    assert "450 ratings, 3 fewer than" in against


def test_a_user_has_the_history_and_both_lists_side_by_side(two: Page) -> None:
    (lists,) = (text for text in two.texts_of("article") if text.startswith("User 1\n"))
    words = " ".join(lists.split())
    assert "Rated last Child's Play (1988)4 stars, 2002-01-01 00:00:00 First page now" in words, (
        "none of later"
    )
    assert "First page now Toy Story 2 (1999)You saw [rec] [/x] Toy Story (1995)" in words
    assert "Terminator 2: Judgment Day (1991) (only here)" in words.partition("First page before")[0]
    assert "Sixth Sense, The (1999) (only here)" in words.partition("First page before")[2]


def test_a_film_has_its_neighbours_by_channel(two: Page) -> None:
    articles = two.texts_of("article")
    (near,) = (text for text in articles if text.startswith("Toy Story (1995)"))
    films = "Toy Story 2 (1999)Titanic (1953)Titanic (1997)"
    assert " ".join(near.split()) == f"Toy Story (1995) item_cf{films} swing{films}"


def test_a_film_counts_for_the_channel_that_gave_most_to_it(home: Path, matinee: Matinee) -> None:
    answer = read(matinee("report", "--json"))
    assert isinstance(answer, dict)
    assert answer["channels"] == [
        {"channel": "popular", "first_named": 1.0, "named": 1.0},
        {"channel": "ease", "first_named": 0.0, "named": 1.0},
    ]
    # Five of nine films are on both pages: ascending counts 0 0 0 0 2 2 2 2 2.
    assert answer["coverage"]["gini"] == pytest.approx(sum((2 * i - 10) * 2 for i in range(5, 10)) / (9 * 10))
    assert (answer["coverage"]["items_listed"], answer["coverage"]["films_of_half"]) == (5, 3)
    assert [(row["least"], row["users"]) for row in answer["users_by_ratings"]] == [(0, 1), (20, 1)]
    assert [(row["least"], row["films"], row["places"]) for row in answer["films_by_ratings"]] == [
        (10, 9, 1.0)
    ]


def test_a_release_without_curves_metrics_or_a_graph_has_a_page(home: Path, matinee: Matinee) -> None:
    release.execute(home, "delete from curves; delete from metrics; delete from item_communities")
    found = page(home, matinee)
    assert list(found.charts()) == [
        "Channels by contribution",
        "Popularity amplified",
        "Lineage of the steps",
    ]
    assert "Nothing was measured: no ratings were held back." in found.text
    assert "There is no earlier release here to compare with." in found.text


def test_curves_are_of_the_newest_release_that_measured_their_stage(home: Path, matinee: Matinee) -> None:
    release.execute(
        home,
        "insert into releases select 'newer' as release_id, 'incremental' as kind, parent_id, as_of, "
        "created_at + interval 1 hour, n_events, config, code_version, source, schema_version from releases;"
        "insert into curves values"
        "('newer', 'train', 'two_tower', 'loss', 1, 4), ('newer', 'train', 'two_tower', 'loss', 2, 3)",
    )
    found = page(home, matinee)
    assert "Loss 4.0000 to 3.0000 in 2 epochs." in found.text
    assert "Training of dssm" not in found.charts()
    assert "NDCG@10 by weight of the ranker" in found.charts()


def test_what_there_is_no_page_for_is_one_line(home: Path, tmp_path: Path, matinee: Matinee) -> None:
    called = matinee("report", "nonsense")
    assert (called.code, called.out, called.err.count("\n")) == (2, "", 1)
    assert "release nonsense is not kept: `matinee releases` lists those that are" in called.err
    called = matinee("report", "--out", str(tmp_path / "nowhere" / "page.html"))
    assert (called.code, called.err.count("\n")) == (2, 1)
    release.execute(home, "drop table curves")
    called = matinee("report")
    assert (called.code, called.out, called.err.count("\n")) == (2, "", 1)
    assert "published by an earlier version: run `matinee nightly` first" in called.err

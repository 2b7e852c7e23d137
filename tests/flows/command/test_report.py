"""The page of ``matinee report``: complete in itself, readable on a phone and without seeing."""

import base64
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flows.command.pages import plots
from tests.flows.command import release
from tests.flows.command.conftest import Matinee, read

SVG = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.html = "", html
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def images(self) -> dict[str, str]:
        """Alternative texts by the titles of the plots."""
        titles = map(unescape, re.findall(r"<figcaption>(.*?)</figcaption>", self.html))
        return dict(zip(titles, (str(image["alt"]) for image in self.all("img")), strict=True))


def page(home: Path, matinee: Matinee) -> Page:
    called = matinee("report")
    assert (called.code, called.err) == (0, "")
    assert str(home / "report.html") in called.out
    return Page((home / "report.html").read_text())


def svg(image: dict[str, str | None]) -> ElementTree.Element:
    head, _, data = str(image["src"]).partition(",")
    assert head == "data:image/svg+xml;base64"
    return ElementTree.fromstring(base64.b64decode(data))


def test_the_page_is_one_file_that_fits_a_phone(home: Path, matinee: Matinee) -> None:
    found = page(home, matinee)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.all("meta")
    assert found.all("html") == [{"lang": "en"}]
    assert not found.all("link")
    assert not found.all("script")
    assert all(str(image["src"]).startswith("data:") for image in found.all("img"))


def test_every_plot_has_a_title_and_says_in_words_what_it_shows(home: Path, matinee: Matinee) -> None:
    found = page(home, matinee)
    images = found.images()
    assert images == {
        "Channels of the first ten films": "ease 100%, popular 100%.",
        "Seconds of each step": "features 0.5, recall <b> 2.5.",
        "Popular films in ratings and lists": (
            "The most rated tenth of the films has 20% of all ratings and 0% of all first ten films."
        ),
        "Communities of films that are alike": (
            "3 films around Titanic (1953), mostly Animation, 1 films around Titanic (1997), mostly Drama."
        ),
        "Training of dssm": "Loss 2.5000 to 2.1250 in 2 epochs.",
        "Training of two_tower": "Loss 5.5000 to 5.2500 and validation NDCG@10 0.1600 to 0.1700 in 2 epochs.",
        "NDCG@10 by blend weight": "0: 0.0625, 0.75: 0.0875.",
        "Reliability of the ranker's probabilities": (
            "In the highest bin: isotonic 0.125 observed for 0.100 predicted."
        ),
    }
    for image, title in zip(found.all("img"), images, strict=True):
        assert svg(image).findtext(f"{SVG}title") == title


def test_letters_of_plots_keep_9_points_on_a_phone(home: Path, matinee: Matinee) -> None:
    for image in page(home, matinee).all("img"):
        drawn = float(str(svg(image).get("width")).removesuffix("pt"))
        shown = (360 - 2 * 16) * 0.75  # CSS pixels between the margins, in points
        assert plots.STYLE["font.size"] * min(1, shown / drawn) >= 9


def test_colours_of_plots_stand_out_from_white() -> None:
    def channel(text: str) -> float:
        value = int(text, 16) / 255
        return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)

    for color in (plots.BLUE, plots.RED, plots.GREEN, plots.GREY):
        red, green, blue = (channel(color[at : at + 2]) for at in (1, 3, 5))
        assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5


def test_tables_have_lists_metrics_and_releases(home: Path, matinee: Matinee) -> None:
    text = " ".join(page(home, matinee).text.split())
    assert "Toy Story (1995) · Toy Story 2 (1999)" in text
    assert "rank gbdt blend weight 0.7500" in text
    assert "rank gbdt calibration error isotonic 0.0123" in text
    assert f"{release.RELEASE} full 2003-02-28 17:49:51 450 current" in text


def test_names_from_outside_are_text_not_markup(home: Path, matinee: Matinee) -> None:
    release.execute(home, "update recommendations set title = '<script>x</script>' where rank = 1")
    found = page(home, matinee)
    assert "<script>x</script>" in found.text
    assert not found.all("script")


def test_a_release_without_curves_or_metrics_has_a_page(home: Path, matinee: Matinee) -> None:
    release.execute(home, "delete from curves; delete from metrics")
    found = page(home, matinee)
    assert list(found.images()) == [
        "Channels of the first ten films",
        "Seconds of each step",
        "Popular films in ratings and lists",
        "Communities of films that are alike",
    ]
    assert "Metrics" not in found.text


def test_communities_are_joined_as_much_as_their_films_are_near(home: Path, matinee: Matinee) -> None:
    answer = read(matinee("report", "--json"))
    assert isinstance(answer, dict)
    assert [(row["community"], row["films"]) for row in answer["communities"]] == [(1, 3), (2, 1)]
    # Of the three nearest films of film 1, by each of two channels, one is of the other community.
    assert answer["community_links"] == [{"one": 1, "other": 2, "fraction": pytest.approx(1 / 3)}]
    release.execute(home, "delete from item_communities")
    assert "Communities of films that are alike" not in page(home, matinee).images()


def test_curves_are_of_the_newest_release_that_measured_their_stage(home: Path, matinee: Matinee) -> None:
    release.execute(
        home,
        "insert into releases select 'newer' as release_id, 'incremental' as kind, parent_id, as_of, "
        "created_at + interval 1 hour, n_events, config, code_version, source, schema_version from releases;"
        "insert into curves values"
        "('newer', 'train', 'two_tower', 'loss', 1, 4), ('newer', 'train', 'two_tower', 'loss', 2, 3)",
    )
    images = page(home, matinee).images()
    assert images["Training of two_tower"] == "Loss 4.0000 to 3.0000 in 2 epochs."
    assert "Training of dssm" not in images
    assert "NDCG@10 by blend weight" in images


def test_a_release_of_an_earlier_version_is_one_line(home: Path, matinee: Matinee) -> None:
    release.execute(home, "drop table curves")
    called = matinee("report")
    assert (called.code, called.out) == (2, "")
    assert "published by an earlier version: run `matinee nightly` first" in called.err
    assert called.err.count("\n") == 1


def test_json_has_everything_that_is_on_the_page(home: Path, matinee: Matinee) -> None:
    answer = read(matinee("report", "--json"))
    assert isinstance(answer, dict)
    tables = {"release", "coverage", "channels", "popularity", "communities", "metrics", "curves", "steps"}
    assert tables | {"lists"} < set(answer)
    assert len(answer["curves"]) == 10


def test_the_page_goes_where_out_says(home: Path, tmp_path: Path, matinee: Matinee) -> None:
    assert matinee("report", "--out", str(tmp_path / "page.html")).code == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    called = matinee("report", "--out", str(tmp_path / "nowhere" / "page.html"))
    assert (called.code, called.err.count("\n")) == (2, 1)

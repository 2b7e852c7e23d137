"""Plots of the report as SVG, each with a title and its numbers in words for whoever does not see it."""

import base64
import io
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.commands.answer import Answer

Points = list[tuple[float, float]]

BLUE, RED, GREEN, GREY = "#2b5f92", "#b0352c", "#2a7439", "#6b6b6b"
"""Colours of text and lines; each has a contrast of at least 4.5 to white."""

LINES = ((RED, "s-"), (BLUE, "o-"), (GREEN, "^-"))
"""Lines of one plot, told apart by their marks too."""

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.markersize": 4,
    "svg.hashsalt": "matinee",
}
"""All letters are of 11 pt: on a phone, where plots are shown smaller than they are drawn, 9 pt are left."""

WIDTH, HEIGHT, BAR = 4.0, 3.1, 0.24
"""Inches of a plot; of a bar in one that grows with them."""

TITLE, LINE = 28, 0.24
"""Letters of a community's most central title; inches from one to the next."""

BY_BLEND_WEIGHT = " by blend weight"
"""Suffix of the name of the curve of a metric over the ranker's blend weight."""

RELIABILITY = "reliability "
"""Prefix of the names of reliability curves."""


@dataclass(frozen=True)
class Plot:
    """A plot, ready for a page."""

    title: str
    """Title above the plot."""
    alt: str
    """The content in words."""
    src: str
    """The SVG as a data URI."""


def plots(answer: Answer) -> list[Plot]:
    """The plots that the release has numbers for."""
    curves = _curves(answer)
    found = [_channels(answer), _steps(answer), _popularity(answer)]
    if answer["communities"]:
        found.append(_communities(answer))
    for (stage, model, curve), points in curves.items():
        if (stage, curve) == ("train", "loss"):
            found.append(_training(model, points, curves.get((stage, model, "ndcg@10"), [])))
        elif curve.endswith(BY_BLEND_WEIGHT):
            found.append(_blend(model, curve.removesuffix(BY_BLEND_WEIGHT), points, answer))
    reliability = {
        curve.removeprefix(RELIABILITY): points
        for (_, _, curve), points in curves.items()
        if curve.startswith(RELIABILITY)
    }
    return [*found, _reliability(reliability)] if reliability else found


def _curves(answer: Answer) -> dict[tuple[str, str, str], Points]:
    """The points of each curve by stage, model and curve."""
    found: dict[tuple[str, str, str], Points] = {}
    for row in answer["curves"]:
        found.setdefault((row["stage"], row["model"], row["curve"]), []).append((row["x"], row["y"]))
    return found


def _channels(answer: Answer) -> Plot:
    bars = [(row["channel"], row["fraction"]) for row in answer["channels"]]

    def draw(axes: Axes) -> None:
        _horizontal_bars(axes, bars)
        axes.xaxis.set_major_formatter("{x:.0%}")

    alt = _listed(f"{channel} {fraction:.0%}" for channel, fraction in bars)
    return _plot("Channels of the first ten films", alt, draw, _height(bars))


def _popularity(answer: Answer) -> Plot:
    tenths = [row["tenth"] for row in answer["popularity"]]

    def draw(axes: Axes) -> None:
        for key, shift, color, label in (
            ("ratings", -0.2, BLUE, "of all ratings"),
            ("listed", 0.2, RED, "of all first ten films"),
        ):
            heights = [row[key] for row in answer["popularity"]]
            axes.bar([tenth + shift for tenth in tenths], heights, width=0.4, color=color, label=label)
        axes.set_xticks(tenths)
        axes.set_xlabel("tenth of the films, the most rated first")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.legend()

    first = answer["popularity"][0]
    alt = (
        f"The most rated tenth of the films has {first['ratings']:.0%} of all ratings "
        f"and {first['listed']:.0%} of all first ten films."
    )
    return _plot("Popular films in ratings and lists", alt, draw)


def _steps(answer: Answer) -> Plot:
    bars = [(row["step"], row["seconds"]) for row in answer["steps"]]
    alt = _listed(f"{step} {seconds:.1f}" for step, seconds in bars)
    return _plot("Seconds of each step", alt, lambda axes: _horizontal_bars(axes, bars), _height(bars))


def _communities(answer: Answer) -> Plot:
    """The communities on a circle, as large as they have films, joined as much as their films are near."""
    rows, links = answer["communities"], answer["community_links"]
    turns = [2 * math.pi * number / len(rows) for number in range(len(rows))]
    at = {row["community"]: (math.sin(turn), math.cos(turn)) for row, turn in zip(rows, turns, strict=True)}
    most = max((link["fraction"] for link in links), default=1)
    titles = [textwrap.shorten(row["title"], TITLE, placeholder="…") for row in rows]

    def draw(axes: Axes) -> None:
        for link in links:
            ends = zip(at[link["one"]], at[link["other"]], strict=True)
            axes.plot(*ends, color=GREY, linewidth=5 * link["fraction"] / most, alpha=0.6, zorder=1)
        films = [row["films"] for row in rows]
        area = [200 + 600 * count / max(films) for count in films]
        axes.scatter([x for x, _ in at.values()], [y for _, y in at.values()], area, color=BLUE, zorder=2)
        for name, (x, y) in at.items():
            axes.text(x, y, str(name), color="white", ha="center", va="center", zorder=3)
        for line, (row, title) in enumerate(zip(rows, titles, strict=True)):
            text = f"{row['community']}  {title}, {row['films']:,} films"
            axes.text(-2, -1.6 - LINE * line, text, va="top")
        axes.set(xlim=(-2, 2), ylim=(-1.6 - LINE * len(rows), 1.4), aspect="equal")
        axes.set_axis_off()

    alt = _listed(
        f"{row['films']:,} films around {row['title']}{', mostly ' + row['genre'] if row['genre'] else ''}"
        for row in rows
    )
    return _plot("Communities of films that are alike", alt, draw, HEIGHT + LINE * len(rows))


def _training(model: str, loss: Points, ndcg: Points) -> Plot:
    def draw(axes: Axes) -> None:
        axes.plot(*zip(*loss, strict=True), "o-", color=BLUE)
        axes.set_ylabel("training loss", color=BLUE)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if ndcg:
            right = axes.twinx()
            right.plot(*zip(*ndcg, strict=True), "s-", color=RED)
            right.set_ylabel("validation NDCG@10", color=RED)

    parts = [f"Loss {loss[0][1]:.4f} to {loss[-1][1]:.4f}"]
    parts += [f"validation NDCG@10 {ndcg[0][1]:.4f} to {ndcg[-1][1]:.4f}"] if ndcg else []
    return _plot(f"Training of {model}", f"{' and '.join(parts)} in {len(loss)} epochs.", draw)


def _blend(model: str, metric: str, points: Points, answer: Answer) -> Plot:
    chosen = [
        row["value"] for row in answer["metrics"] if (row["model"], row["metric"]) == (model, "blend_weight")
    ]

    def draw(axes: Axes) -> None:
        axes.plot(*zip(*points, strict=True), "o-", color=BLUE)
        for weight in chosen:
            axes.axvline(weight, color=RED, linestyle=":", label=f"chosen: {weight:g}")
            axes.legend()
        axes.set_xlabel(f"weight of {model}")
        axes.set_ylabel(f"validation {metric.upper()}")

    alt = _listed(f"{weight:g}: {value:.4f}" for weight, value in points)
    return _plot(f"{metric.upper()} by blend weight", alt, draw)


def _reliability(curves: dict[str, Points]) -> Plot:
    def draw(axes: Axes) -> None:
        for (name, points), (color, mark) in zip(curves.items(), LINES, strict=False):
            predicted, observed = zip(*points, strict=True)
            # Nobody watched any of a small bin's films: 0 has no place on a logarithmic axis.
            axes.loglog(predicted, [y or math.nan for y in observed], mark, color=color, label=name)
        axes.axline((0.01, 0.01), (0.1, 0.1), color=GREY, linewidth=1)
        axes.set_xlabel("predicted probability to be watched")
        axes.set_ylabel("observed fraction")
        axes.figure.legend(loc="outside upper left", ncols=2)

    alt = _listed(
        f"{name} {points[-1][1]:.3f} observed for {points[-1][0]:.3f} predicted"
        for name, points in curves.items()
    )
    title, height = "Reliability of the ranker's probabilities", HEIGHT + 2 * BAR
    return _plot(title, f"In the highest bin: {alt}", draw, height)


def _horizontal_bars(axes: Axes, bars: Sequence[tuple[str, float]]) -> None:
    """Names of the bars, from top to bottom."""
    names, lengths = zip(*reversed(bars), strict=True)
    axes.barh(names, lengths, color=BLUE)
    axes.margins(y=0.01)


def _height(bars: Sequence[object]) -> float:
    """Inches of height that fit the name of every bar."""
    return max(HEIGHT, 0.5 + BAR * len(bars))


def _listed(parts: Any) -> str:
    return ", ".join(parts) + "."


def _plot(title: str, alt: str, draw: Callable[[Axes], None], height: float = HEIGHT) -> Plot:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.subplots())
        text = io.BytesIO()
        figure.savefig(text, format="svg", metadata={"Title": title, "Date": None})
    svg = base64.b64encode(text.getvalue()).decode()
    return Plot(title, alt, f"data:image/svg+xml;base64,{svg}")

"""The page of ``matinee report``: one self-contained HTML file, plots included."""

import io
import math
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

Answer = dict[str, Any]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .6rem }
tr + tr { border-top: 1px solid #ddd } td.n { text-align: right; font-variant-numeric: tabular-nums }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem }
figure { margin: 0 } svg { width: 100%; height: auto } h2 { margin-top: 2rem }
"""

BLUE, RED, GREEN = "#4c78a8", "#e45756", "#54a24b"


def html(answer: Answer) -> str:
    """The whole page."""
    release, coverage = answer["release"], answer["coverage"]
    facts = {
        "kind": release["kind"],
        "as of": f"{release['as_of']} UTC",
        "computed": f"{release['created_at']:%Y-%m-%d %H:%M} UTC",
        "goes on from": release["parent_id"] or "nothing: trained from scratch",
        "ratings": f"{release['n_events']:,} of {escape(release['source'])}",
        "users": f"{coverage['users']:,}, {coverage['users_refreshed']:,} with a new list in this release",
        "explained": f"{coverage['users_explained']:,} users have a film that explains at least one choice",
        "films in anybody's first ten": f"{coverage['items_listed']:,} of {coverage['items']:,}",
    }
    plots = [_channels, _popularity, _steps]
    plots += [draw for stage, draws in OF_STAGE.items() if _of(answer, stage) for draw in draws]
    parts = [
        f"<h1>Release {escape(release['release_id'])}</h1>",
        _table([{"": name, " ": value} for name, value in facts.items()], header=False),
        '<h2>At a glance</h2><div class="plots">'
        + "".join(_figure(plot, answer) for plot in plots)
        + "</div>",
        "<h2>Ten lists</h2>",
        _table(answer["lists"]),
        "<h2>Releases</h2>",
        _table([_release(row) for row in answer["releases"][:12]]),
        *_update(answer),
    ]
    title = f"Matinee {escape(release['release_id'])}"
    head = f"<meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _release(row: Answer) -> Answer:
    state = "current" if row["current"] else "kept" if row["kept"] else "removed"
    return {
        "release": row["release_id"],
        "kind": row["kind"],
        "as of (UTC)": row["as_of"].replace("T", " "),
        "ratings": row["n_events"],
        "": state,
    }


def _update(answer: Answer) -> list[str]:
    """What the hour learned, if the release is incremental."""
    rows = _of(answer, "update")
    if not rows:
        return []
    figures = [{"figure": row["metric"].replace("_", " "), "value": f"{row['value']:.4f}"} for row in rows]
    return ["<h2>What the hour learned</h2>", _table(figures)]


def _channels(axes: Axes, answer: Answer) -> None:
    rows = answer["channels"][::-1]
    axes.barh([row["channel"] for row in rows], [row["fraction"] for row in rows], color=BLUE)
    axes.set_title("Who recalled the first ten films", loc="left")
    axes.xaxis.set_major_formatter("{x:.0%}")


def _popularity(axes: Axes, answer: Answer) -> None:
    tenths = [row["tenth"] for row in answer["popularity"]]
    for key, shift, color, label in (
        ("ratings", -0.2, BLUE, "ratings"),
        ("listed", 0.2, RED, "first ten films"),
    ):
        heights = [row[key] for row in answer["popularity"]]
        axes.bar(
            [tenth + shift for tenth in tenths], heights, width=0.4, color=color, label=f"share of {label}"
        )
    axes.set_title("Films by tenth, the most rated first", loc="left")
    axes.set_xticks(tenths)
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(frameon=False)


def _steps(axes: Axes, answer: Answer) -> None:
    rows = answer["steps"][::-1]
    axes.barh([row["step"] for row in rows], [row["seconds"] for row in rows], color=BLUE)
    axes.set_title("Seconds of each step", loc="left")
    axes.tick_params(axis="y", labelsize=7)


def _training(axes: Axes, answer: Answer) -> None:
    curve = _curve(answer)
    epochs = sorted(curve)
    axes.plot(epochs, [curve[epoch]["loss"] for epoch in epochs], "o-", color=BLUE)
    axes.set_ylabel("training loss", color=BLUE)
    axes.set_xlabel("epoch")
    axes.set_xticks(epochs)
    metric = axes.twinx()
    metric.plot(epochs, [curve[epoch]["ndcg"] for epoch in epochs], "s-", color=RED)
    metric.set_ylabel("validation NDCG@10", color=RED)
    axes.set_title("Training of the two-tower model", loc="left")


def _curve(answer: Answer) -> dict[int, dict[str, float]]:
    """Figures of each epoch of the training."""
    curve: dict[int, dict[str, float]] = {}
    for row in _of(answer, "train"):
        curve.setdefault(int(row["slice"].partition("=")[2]), {})[row["metric"]] = row["value"]
    return curve


def _shares(axes: Axes, answer: Answer) -> None:
    rows = [row for row in _of(answer, "rank") if row["metric"] == "ndcg"]
    shares = [float(row["slice"].partition("=")[2]) for row in rows]
    (chosen,) = (row["value"] for row in _of(answer, "rank") if row["metric"] == "share")
    axes.plot(shares, [row["value"] for row in rows], "o-", color=BLUE)
    axes.axvline(chosen, color=RED, linestyle=":", label=f"chosen: {chosen:.2f}")
    axes.set_xlabel(f"share of {rows[0]['model']} in the blend with the merged list")
    axes.set_ylabel(f"NDCG@{rows[0]['k']}")
    axes.set_title("How far the ranker is heeded", loc="left")
    axes.legend(frameon=False)


def _reliability(axes: Axes, answer: Answer) -> None:
    curves: dict[str, dict[str, list[float]]] = {}
    for row in _of(answer, "rank"):
        name, *numbered = row["slice"].split(", bin=")
        if numbered:
            curves.setdefault(name, {}).setdefault(row["metric"], []).append(row["value"])
    for (name, curve), color in zip(curves.items(), (RED, BLUE, GREEN), strict=True):
        # Nobody watched any of a small bin's films: 0 has no place on a logarithmic axis.
        observed = [share or math.nan for share in curve["observed"]]
        axes.loglog(curve["predicted"], observed, "o-", markersize=3, color=color, label=name)
    axes.axline((0.01, 0.01), (0.1, 0.1), color="#999", linewidth=1)
    axes.set_xlabel("probability to be watched, as the ranker says")
    axes.set_ylabel("share that was watched")
    axes.set_title("Can its probabilities be believed?", loc="left")
    axes.legend(frameon=False)


OF_STAGE = {"train": (_training,), "rank": (_shares, _reliability)}
"""Plots of what only some releases have figures of."""


def _of(answer: Answer, stage: str) -> list[Answer]:
    return [row for row in answer["metrics"] if row["stage"] == stage]


def _figure(draw: Callable[[Axes, Answer], None], answer: Answer) -> str:
    figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    draw(axes, answer)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return "<figure>" + text.getvalue()[text.getvalue().index("<svg") :] + "</figure>"


def _table(rows: list[Answer], header: bool = True) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in rows[0]) if header else ""
    body = "".join("<tr>" + "".join(_cell(value) for value in row.values()) + "</tr>" for row in rows)
    return f"<table><tr>{names}</tr>{body}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"

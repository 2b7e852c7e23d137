"""Charts of the report in Vega-Lite, each with a title and its content in words.

Colours, letters and sizes are left to the page, which has them for light and dark screens and for phones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import altair as alt

from tasks.commands.answer import Answer

Curves = dict[tuple[str, str, str], list[Answer]]

NOW, BEFORE = "this release", "before"

BY_BLEND_WEIGHT = " by blend weight"
"""Suffix of the name of the curve of a metric over the ranker's blend weight."""

RELIABILITY = "reliability "
"""Prefix of the names of reliability curves."""

BAR = 22
"""Pixels of height of a bar, its margin included."""

TITLED = 6
"""Communities of the film graph whose most central film is named in it."""


@dataclass(frozen=True)
class ReportChart:
    """A chart, ready for a page."""

    title: str
    """Title above the chart."""
    text: str
    """The content in words, below the title; also for whoever does not see the chart."""
    spec: Answer
    """Vega-Lite, without colours."""


def charts(answer: Answer) -> dict[str, list[ReportChart]]:
    """The charts that the release has numbers for, by section of the page."""
    by_section: dict[str, tuple[Callable[[Answer], Iterator[ReportChart]], ...]] = {
        "quality": (_quality,),
        "changes": (_overlaps,),
        "data": (_drift,),
        "channels": (_channels, _merge_weights),
        "ranker": (_blend, _reliability, _training),
        "popularity": (_popularity,),
        "graph": (_graph,),
        "time": (_timings, _lineage),
    }
    return {
        section: [chart for draw in drawn for chart in draw(answer)] for section, drawn in by_section.items()
    }


def _quality(answer: Answer) -> Iterator[ReportChart]:
    """NDCG of every model on the holdout, of this release and the one before."""
    now = [row for row in answer["metrics"] if (row["metric"], row["slice"]) == ("ndcg", "all")]
    if not now:
        return
    before = [row for row in _compared(answer) if (row["metric"], row["slice"]) == ("ndcg", "all")]
    points = [{"model": row["model"], "value": row["value"], "of": NOW} for row in now]
    points += [{"model": row["model"], "value": row["before"], "of": BEFORE} for row in before]
    k, best = now[0]["k"], max(now, key=lambda row: row["value"])
    chart = (
        alt.Chart(alt.InlineData(values=points))
        .mark_point(filled=True, size=70)
        .encode(
            x=alt.X("value:Q", title=f"NDCG@{k} on the holdout"),
            y=alt.Y("model:N", sort="-x", title=None),
            color=alt.Color("of:N", title=None, sort=[NOW, BEFORE]),
            shape=alt.Shape("of:N", legend=None, sort=[NOW, BEFORE]),
            tooltip=["model:N", "of:N", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=alt.Step(BAR))
    )
    text = (
        f"Each model alone, asked for the held-back ratings of {best['n_users']:,} users. "
        f"The best is {best['model']} with {best['value']:.4f}."
    )
    yield _chart(f"NDCG@{k} by model", text, chart)


def _overlaps(answer: Answer) -> Iterator[ReportChart]:
    """Users by the number of films that stayed on their first pages."""
    if answer["changes"] is None:
        return
    rows = answer["changes"]["overlaps"]
    n_users = max(sum(row["users"] for row in rows), 1)
    same = rows[-1]["users"] / n_users
    most = sum(row["users"] for row in rows if row["films"] >= 8) / n_users
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("films:O", title="films of ten that stayed", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("users:Q", title="users"),
            tooltip=["films:O", "users:Q"],
        )
        .properties(height=200)
    )
    text = f"{same:.0%} of the users have the same ten films as before, {most:.0%} at least eight of them."
    yield _chart("How much of a first page stayed", text, chart)


def _drift(answer: Answer) -> Iterator[ReportChart]:
    """The population stability index of new events, and the limit of each."""
    rows = [
        {"of": row["check"].partition(": ")[2], "PSI": row["value"], "limit": row["limit"]}
        for row in answer["checks"]
        if row["check"].startswith("drift: ")
    ]
    if not rows:
        return
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=alt.Y("of:N", title=None))
    bars = base.mark_bar().encode(
        x=alt.X("PSI:Q", title="PSI (mark: the limit)"),
        tooltip=["of:N", alt.Tooltip("PSI:Q", format=".3f"), alt.Tooltip("limit:Q", format=".3f")],
    )
    limits = base.mark_tick(thickness=3, size=BAR - 4).encode(x="limit:Q", color=alt.value("currentColor"))
    most = max(rows, key=lambda row: row["PSI"] / row["limit"] if row["limit"] else 0)
    text = f"Nearest to its limit is {most['of']}: {most['PSI']:.3f} of {most['limit']:.3f}."
    yield _chart("Drift of new ratings", text, alt.layer(bars, limits).properties(height=alt.Step(BAR)))


def _channels(answer: Answer) -> Iterator[ReportChart]:
    """Places on first pages by the channel that gave most to them, and by those that gave anything."""
    rows = answer["channels"]
    if not rows:
        return
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("channel:N", sort=[row["channel"] for row in rows], title=None),
        tooltip=[
            "channel:N",
            alt.Tooltip("first_named:Q", format=".1%", title="gave most"),
            alt.Tooltip("named:Q", format=".1%", title="among those that matter"),
        ],
    )
    axis = alt.Axis(format="%", title="places on first pages")
    bars = base.mark_bar().encode(x=alt.X("first_named:Q", axis=axis))
    named = base.mark_tick(thickness=3, size=BAR - 4).encode(x="named:Q", color=alt.value("currentColor"))
    first = rows[0]
    text = (
        f"{first['channel']} gives most to {first['first_named']:.0%} of the places on first pages. Bars are "
        "the places to whose merged score a channel gives most, marks those where it is among the channels "
        "that matter."
    )
    layers = alt.layer(bars, named).properties(height=alt.Step(BAR))
    yield _chart("Channels by contribution", text, layers)


def _merge_weights(answer: Answer) -> Iterator[ReportChart]:
    """Weights of the channels in the merged list."""
    kinds = {"score": "by score", "rank": "by rank", "presence": "for being there"}
    rows = [
        {"channel": row["channel"], "weight": row[kind], "kind": text}
        for row in answer["merge_weights"]
        for kind, text in kinds.items()
    ]
    if not rows:
        return
    totals = {row["channel"]: sum(row[kind] for kind in kinds) for row in answer["merge_weights"]}
    order = sorted(totals, key=lambda channel: -totals[channel])
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("sum(weight):Q", title="weight in the merged score"),
            y=alt.Y("channel:N", sort=order, title=None),
            color=alt.Color("kind:N", title=None, sort=list(kinds.values())),
            tooltip=["channel:N", "kind:N", alt.Tooltip("weight:Q", format=".3f")],
        )
        .properties(height=alt.Step(BAR))
    )
    text = f"Fitted on the holdout. The heaviest are {_listed(order[:3])}."
    yield _chart("Weights of the merge", text, chart)


def _blend(answer: Answer) -> Iterator[ReportChart]:
    """A metric by the weight of the ranker beside the merged list."""
    for (_, model, curve), points in _curves(answer).items():
        if not curve.endswith(BY_BLEND_WEIGHT):
            continue
        metric = curve.removesuffix(BY_BLEND_WEIGHT).upper()
        chosen = [
            row["value"]
            for row in answer["metrics"]
            if (row["model"], row["metric"]) == (model, "blend_weight")
        ]
        line = (
            alt.Chart(alt.InlineData(values=points))
            .mark_line(point=True)
            .encode(
                x=alt.X("x:Q", title=f"weight of {model}"),
                y=alt.Y("y:Q", title=metric, scale=alt.Scale(zero=False)),
                tooltip=[alt.Tooltip("x:Q", title="weight"), alt.Tooltip("y:Q", title=metric, format=".4f")],
            )
        )
        rule = alt.Chart(alt.InlineData(values=[{"x": x} for x in chosen])).mark_rule(strokeDash=[4, 4])
        alone, best = points[-1]["y"], max(point["y"] for point in points)
        text = (
            f"Weight 0 is the merged list ({points[0]['y']:.4f}), 1 the ranker alone ({alone:.4f}); "
            f"the best is {best:.4f}. Published with {_listed(f'{x:g}' for x in chosen)}, the dashed line."
        )
        chart = alt.layer(line, rule.encode(x="x:Q")).properties(height=200)
        yield _chart(f"{metric} by weight of the ranker", text, chart)


def _reliability(answer: Answer) -> Iterator[ReportChart]:
    """The fraction watched by predicted probability."""
    points = [
        point | {"kind": curve.removeprefix(RELIABILITY)}
        for (_, _, curve), points in _curves(answer).items()
        if curve.startswith(RELIABILITY)
        for point in points
        # Nobody watched any of a small bin's films: 0 is nowhere on a logarithmic axis.
        if point["x"] > 0 and point["y"] > 0
    ]
    if not points:
        return
    logarithmic = alt.Scale(type="log")
    lines = (
        alt.Chart(alt.InlineData(values=points))
        .mark_line(point=True)
        .encode(
            x=alt.X("x:Q", title="predicted probability", scale=logarithmic),
            y=alt.Y("y:Q", title="watched", scale=logarithmic),
            color=alt.Color("kind:N", title=None),
            tooltip=["kind:N", alt.Tooltip("x:Q", format=".4f"), alt.Tooltip("y:Q", format=".4f")],
        )
    )
    ends = [min(point["x"] for point in points), max(point["x"] for point in points)]
    diagonal = alt.Chart(alt.InlineData(values=[{"x": end, "y": end} for end in ends]))
    ideal = diagonal.mark_line(strokeDash=[4, 4], color="currentColor").encode(x="x:Q", y="y:Q")
    last = {point["kind"]: point for point in points}
    text = "In the highest bin: " + _listed(
        f"{kind} {point['y']:.3f} watched of {point['x']:.3f} predicted" for kind, point in last.items()
    )
    chart = alt.layer(ideal, lines).properties(height=260)
    yield _chart("Reliability of the ranker's probabilities", f"{text}. The dashed line is ideal.", chart)


def _training(answer: Answer) -> Iterator[ReportChart]:
    """Loss and validation NDCG by epoch, of each model that was trained."""
    curves = _curves(answer)
    for (stage, model, curve), loss in curves.items():
        if (stage, curve) != ("train", "loss"):
            continue
        validation = curves.get((stage, model, "ndcg@10"), [])
        layers = [_by_epoch(loss, "training loss")]
        text = f"Loss {loss[0]['y']:.4f} to {loss[-1]['y']:.4f}"
        if validation:
            layers.append(_by_epoch(validation, "validation NDCG@10"))
            text += f", validation NDCG@10 {validation[0]['y']:.4f} to {validation[-1]['y']:.4f}"
        chart = alt.layer(*layers).resolve_scale(y="independent").properties(height=200)
        yield _chart(f"Training of {model}", f"{text} in {len(loss)} epochs.", chart)


def _by_epoch(points: list[Answer], name: str) -> Any:
    return (
        alt.Chart(alt.InlineData(values=points))
        .mark_line(point=True)
        .encode(
            x=alt.X("x:O", title="epoch", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("y:Q", title=name, scale=alt.Scale(zero=False)),
            color=alt.datum(name),
            tooltip=[alt.Tooltip("x:O", title="epoch"), alt.Tooltip("y:Q", title=name, format=".4f")],
        )
    )


def _popularity(answer: Answer) -> Iterator[ReportChart]:
    """Ratings and first pages by tenth of the films."""
    listed = {"ratings": answer["popularity"], NOW: answer["popularity"], BEFORE: answer["popularity_before"]}
    rows = [
        {"tenth": row["tenth"], "fraction": row["ratings" if of == "ratings" else "listed"], "of": name}
        for of, found in listed.items()
        for name in ["ratings" if of == "ratings" else f"first pages, {of}"]
        for row in found
    ]
    if not rows:
        return
    order = list(dict.fromkeys(row["of"] for row in rows))
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("tenth:O", title="tenth of the films, the most rated first", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("of:N", sort=order),
            y=alt.Y("fraction:Q", title=None, axis=alt.Axis(format="%")),
            color=alt.Color("of:N", title=None, sort=order),
            tooltip=["tenth:O", "of:N", alt.Tooltip("fraction:Q", format=".1%")],
        )
        .properties(height=240)
    )
    first = answer["popularity"][0]
    text = (
        f"The most rated tenth of the films has {first['ratings']:.0%} of all ratings "
        f"and {first['listed']:.0%} of the places on first pages."
    )
    yield _chart("Popularity amplified", text, chart)


def _graph(answer: Answer) -> Iterator[ReportChart]:
    """The most central films, near each other where they are alike."""
    films, links = answer["graph"]["films"], answer["graph"]["links"]
    if not films:
        return
    at = {film["item_id"]: film for film in films}
    ends = [(at[link["low"]], at[link["high"]]) for link in links]
    lines = [{"x": a["x"], "y": a["y"], "x2": b["x"], "y2": b["y"]} for a, b in ends]
    x, y = (alt.X("x:Q", axis=None), alt.Y("y:Q", axis=None))
    edges = alt.Chart(alt.InlineData(values=lines)).mark_rule(opacity=0.25)
    nodes = alt.Chart(alt.InlineData(values=films)).mark_circle(opacity=1)
    titles = _most_central(films)
    names = alt.Chart(alt.InlineData(values=titles)).mark_text(dy=-10, limit=160)
    chart = alt.layer(
        edges.encode(x=x, y=y, x2="x2:Q", y2="y2:Q"),
        nodes.encode(
            x=x,
            y=y,
            color=alt.Color("community:N", legend=None),
            size=alt.Size("centrality:Q", legend=None),
            tooltip=["title:N", "community:N", alt.Tooltip("centrality:Q", format=".4f")],
        ),
        names.encode(x=x, y=y, text="title:N"),
    ).properties(height=420)
    text = (
        f"The {len(films)} most central films; {len(links):,} lines join nearest neighbours, colours are "
        f"communities. The most central is {films[0]['title']}."
    )
    yield _chart("Films that are alike", text, chart)


def _most_central(films: list[Answer]) -> list[Answer]:
    """The most central film of each of some communities."""
    found: dict[int, Answer] = {}
    for film in films:
        found.setdefault(film["community"], film)
    return list(found.values())[:TITLED]


def _timings(answer: Answer) -> Iterator[ReportChart]:
    """Seconds of the steps of each release."""
    rows = answer["timings"]
    if not rows:
        return
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["release_id"]] = totals.get(row["release_id"], 0.0) + row["seconds"]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("sum(seconds):Q", title="seconds"),
            y=alt.Y("release_id:N", title=None, axis=alt.Axis(labelExpr="slice(datum.label, 0, 15)")),
            color=alt.Color("step:N", title=None, legend=alt.Legend(columns=3)),
            tooltip=["release_id:N", "step:N", alt.Tooltip("seconds:Q", format=",.1f")],
        )
        .properties(height=alt.Step(BAR))
    )
    now = totals.get(answer["release"]["release_id"], 0.0)
    text = f"The steps of this release took {now:,.0f} s. It and earlier ones: {len(totals)}."
    yield _chart("Time of the steps, by release", text, chart)


def _lineage(answer: Answer) -> Iterator[ReportChart]:
    """The steps from top to bottom, an arc from each to those that read what it wrote."""
    steps = _with_channels_together(answer["steps"])
    if not steps:
        return
    arcs = [
        {"arc": f"{first}-{second}", "part": part, "x": x, "y": -y, "tables": tables}
        for second, reader in enumerate(steps)
        for first, writer in enumerate(steps[:second])
        if (tables := _passed(writer, reader))
        for part, (x, y) in enumerate(_arc(first, second, len(steps)))
    ]
    domain = alt.Scale(domain=[-1, 1.6], nice=False)
    x, y = alt.X("x:Q", axis=None, scale=domain), alt.Y("y:Q", axis=None)
    lines = alt.Chart(alt.InlineData(values=arcs)).mark_line(interpolate="basis", opacity=0.6)
    names = [
        {"x": 0, "y": -number, "step": step["step"], "seconds": step["seconds"]}
        for number, step in enumerate(steps)
    ]
    nodes = alt.Chart(alt.InlineData(values=names))
    chart = alt.layer(
        lines.encode(x=x, y=y, detail="arc:N", order="part:O", tooltip="tables:N"),
        nodes.mark_circle(size=60, opacity=1).encode(x=x, y=y),
        nodes.mark_text(align="left", dx=8).encode(
            x=x, y=y, text="step:N", tooltip=["step:N", alt.Tooltip("seconds:Q", format=",.1f")]
        ),
    ).properties(height=BAR * len(steps))
    text = "From top to bottom; an arc leads from a step to those that read what it wrote."
    yield _chart("Lineage of the steps", text, chart)


def _with_channels_together(steps: list[Answer]) -> list[Answer]:
    """The steps with those of all channels as one."""
    channels = [step for step in steps if step["step"].startswith("recall ")]
    merged: list[Answer] = []
    for step in steps:
        if step not in channels:
            merged.append(step)
        elif step is channels[0]:
            merged.append(
                {
                    "step": f"recall ({len(channels)} channels)",
                    "inputs": [name for channel in channels for name in channel["inputs"]],
                    "outputs": [name for channel in channels for name in channel["outputs"]],
                    "seconds": sum(channel["seconds"] for channel in channels),
                }
            )
    return merged


def _passed(writer: Answer, reader: Answer) -> str:
    """The tables that one step wrote and another one reads; a folder is all that is in it."""
    read = dict.fromkeys(reader["inputs"])
    return ", ".join(
        name for name in read if any(out == name or out.startswith(f"{name}/") for out in writer["outputs"])
    )


def _arc(first: int, second: int, n_steps: int) -> list[tuple[float, float]]:
    """Points of a curve to the left, the further the more steps it passes."""
    depth = -2 * (second - first) / n_steps
    return [(0, first), (max(depth, -1.0), (first + second) / 2), (0, second)]


def _compared(answer: Answer) -> list[Answer]:
    found: list[Answer] = [] if answer["changes"] is None else answer["changes"]["metrics"]
    return found


def _curves(answer: Answer) -> Curves:
    """The points of each curve by stage, model and curve."""
    found: Curves = {}
    for row in answer["curves"]:
        point = {"x": row["x"], "y": row["y"]}
        found.setdefault((row["stage"], row["model"], row["curve"]), []).append(point)
    return found


def _listed(parts: Any) -> str:
    return ", ".join(parts)


def _chart(title: str, text: str, chart: Any) -> ReportChart:
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    spec = chart.properties(width="container", autosize=fit).to_dict()
    del spec["config"]
    return ReportChart(title, text, spec)

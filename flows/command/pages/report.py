"""The page of ``matinee report``: one self-contained HTML file, plots included."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from flows.command.pages.plots import plots
from tasks.commands.answer import Answer
from tasks.commands.metadata import heading

RELEASES = 12
"""Releases on the page, the newest ones."""


def html(answer: Answer) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("flows.command.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        release=answer["release"],
        facts=_facts(answer["release"], answer["coverage"]),
        plots=plots(answer),
        metrics=[_metric(row) for row in answer["metrics"]],
        lists=answer["lists"],
        releases=answer["releases"][:RELEASES],
    )


def _facts(release: Answer, coverage: Answer) -> dict[str, str]:
    """Facts about the release, by their names on the page."""
    return {
        "Kind": release["kind"],
        "As of": f"{release['as_of']} UTC",
        "Computed": f"{release['created_at']:%Y-%m-%d %H:%M} UTC",
        "Parent": release["parent_id"] or "none: trained from scratch",
        "Ratings": f"{release['n_events']:,} of {release['source']}",
        "Users": f"{coverage['users']:,}, {coverage['users_refreshed']:,} with a new list in this release",
        "Explained": f"{coverage['users_explained']:,} users have a film that explains at least one choice",
        "Films in any first ten": f"{coverage['items_listed']:,} of {coverage['items']:,}",
    }


def _metric(row: Answer) -> Answer:
    """A metric as people read it; the slice is left out where it is everybody."""
    return {
        "stage": row["stage"],
        "model": row["model"],
        "metric": heading((row["metric"], row["k"])).replace("_", " "),
        "slice": "" if row["slice"] == "all" else row["slice"],
        "value": f"{row['value']:.4f}",
    }

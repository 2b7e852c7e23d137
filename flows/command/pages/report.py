"""The page of ``matinee report``: one self-contained HTML file, which no network is needed to look at."""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from flows.command.pages.charts import charts
from tasks.commands.answer import Answer
from tasks.commands.metadata import heading

FORMATS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "count": "{:,}".format,
    "percent": "{:.1%}".format,
    "change": "{:+.1%}".format,
    "metric": "{:.4f}".format,
    "difference": "{:+.4f}".format,
    "number": lambda value: f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}",
    "seconds": "{:,.1f}".format,
    "time": lambda moment: str(moment).replace("T", " ")[:19],
    "list": ", ".join,
}
"""How values of tables are written, by the name of the format."""


def write(answer: Answer, file: Path) -> None:
    """Write the page into a file."""
    file.write_text(html(answer), encoding="utf-8")


def html(answer: Answer) -> str:
    """The whole page. All texts are escaped by the template; scripts are those of this package alone."""
    drawn = charts(answer)
    scripts = [_vega(), _text("report.js")]
    return _template().render(
        **answer | {"releases": [row | {"status": _status(row)} for row in answer["releases"]]},
        charts=drawn,
        specs={
            f"chart-{section}-{number}": chart.spec
            for section, found in drawn.items()
            for number, chart in enumerate(found, start=1)
        },
        style=Markup(_text("report.css")),
        scripts=[Markup(script) for script in scripts],
        digests=[_digest(script) for script in scripts],
    )


def shown(value: Any, format_: str) -> str:
    """A value of a table as people read it; nothing for none."""
    return "" if value is None else FORMATS[format_](value)


def _metric_name(row: Answer) -> str:
    return heading((row["metric"], row["k"])).replace("_", " ")


def _with_names(rows: list[Answer]) -> list[Answer]:
    """Metrics with their written names; the slice is left out where it is everybody."""
    return [
        row | {"name": _metric_name(row), "slice": "" if row["slice"] == "all" else row["slice"]}
        for row in rows
    ]


def _in_brief(checks: list[Answer]) -> list[Answer]:
    """Checks with their outcome, and messages that do not say their name again."""
    return [
        check
        | {
            "message": check["message"].removeprefix(f"{check['check']}: "),
            "outcome": "passed" if check["passed"] else "blocks" if check["blocking"] else "warns",
        }
        for check in checks
    ]


def _status(row: Answer) -> str:
    return "current" if row["current"] else "kept" if row["kept"] else "removed"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("flows.command.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"shown": shown, "metric_name": _metric_name, "with_names": _with_names, "in_brief": _in_brief}
    environment.filters |= filters
    return environment.get_template("report.html.jinja")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, 0.9 MB."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg] # without a snippet: all of it
    return bundle


def _text(name: str) -> str:
    return (files("flows.command.pages") / "templates" / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """The name of a script in the page's security policy: nothing else may run."""
    return f"sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}"

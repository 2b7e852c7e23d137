"""The published tables in a browser: a marimo notebook, which ``matinee explore`` opens.

Reads one file, ``--file``, by the functions and tables that any client has (docs/query.md), opened anew for
every question: what is published meanwhile is what the next answer shows.
"""

import marimo

app = marimo.App(width="medium", app_title="Matinee")

with app.setup:
    import altair as alt
    import duckdb
    import marimo as mo
    import polars as pl


@app.cell
def _():
    file = str(mo.cli_args().get("file"))

    def ask(query: str, *values: object) -> pl.DataFrame:
        with duckdb.connect(file, read_only=True) as con:
            frame: pl.DataFrame = con.sql(query, params=list(values)).pl()
            return frame

    def rows(frame: pl.DataFrame, wrapped: tuple[str, ...] = ()) -> mo.Html:
        return mo.ui.table(
            frame,
            selection=None,
            page_size=50,
            show_column_summaries=False,
            show_data_types=False,
            wrapped_columns=list(wrapped),
        )

    return ask, rows


@app.cell
def _():
    refresh = mo.ui.button(label="Read again")
    mo.hstack([mo.md("# What is published"), refresh], justify="space-between", align="center")
    return (refresh,)


@app.cell
def _(ask, refresh):
    _ = refresh.value
    _release = ask("from releases order by created_at desc limit 1").row(0, named=True)
    _numbers = ask(
        "select count(distinct user_id), count(distinct item_id), (select count(*) from items),"
        " (select count(*) from checks where not passed) from recommendations"
    ).row(0)
    mo.vstack(
        [
            mo.md(f"Release `{_release['release_id']}`, {_release['kind']}, of {_release['source']}"),
            mo.hstack(
                [
                    mo.stat(f"{_release['as_of']:%Y-%m-%d}", label="as of, UTC"),
                    mo.stat(f"{_release['n_events']:,}", label="ratings"),
                    mo.stat(f"{_numbers[0]:,}", label="users with a list"),
                    mo.stat(f"{_numbers[1]:,} of {_numbers[2]:,}", label="films in a list"),
                    mo.stat(str(_numbers[3]), label="checks not passed"),
                ]
            ),
        ]
    )
    return


@app.cell
def _(ask, refresh):
    _ = refresh.value
    _first, _last, _typical = ask(
        "select min(user_id), max(user_id), (select user_id from user_features"
        " order by n_ratings, user_id limit 1 offset (select count(*) // 2 from user_features))"
        " from recommendations"
    ).row(0)
    user = mo.ui.number(_first, _last, value=_typical, label="User", debounce=True)
    n = mo.ui.slider(5, 50, 5, value=10, label="Films", show_value=True)
    mo.vstack([mo.md("## A user's list"), mo.hstack([user, n], justify="start")])
    return n, user


@app.cell
def _(ask, n, rows, user):
    _about = ask(
        "select n_ratings, round(rating_mean, 2) as rating_mean,"
        " array_to_string(top_genres, ', ') as top_genres, typical_year, last_event_at"
        " from user_features where user_id = ?",
        user.value,
    )
    _listed = ask(
        "select rank, title, reason, array_to_string(genres, ', ') as genres from recommend(?, ?)",
        user.value,
        n.value,
    )
    mo.vstack([rows(_about), rows(_listed, wrapped=("reason",))]) if len(_listed) else mo.md(
        f"User {user.value} has no list. For users nobody knows there is `default_recommendations`."
    )
    return


@app.cell
def _():
    words = mo.ui.text(value="Toy Story", label="Title", debounce=True)
    mo.vstack([mo.md("## Films near a film"), words])
    return (words,)


@app.cell
def _(ask, refresh, words):
    _ = refresh.value
    _found = ask(
        "select item_id, title from items join item_features using (item_id)"
        " where contains(lower(title), lower(?)) order by n_ratings desc limit 50",
        words.value,
    )
    _choices = {title: item_id for item_id, title in _found.iter_rows()}
    film = mo.ui.dropdown(_choices, value=next(iter(_choices), None), label="Film")
    film if _choices else mo.md("No film has these words in its title.")
    return (film,)


@app.cell
def _(ask, film, rows):
    _near = ask(
        "select rank, channel, title from item_similarity s join items i on i.item_id = neighbour_id"
        " where s.item_id = ? and rank <= 10 order by rank",
        film.value,
    )
    rows(_near.pivot("channel", index="rank", values="title").sort("rank")) if len(_near) else mo.md(
        "No channel has films near it."
    )
    return


@app.cell
def _(ask, refresh):
    _ = refresh.value
    _quality = ask(
        "select stage, model, metric || '@' || k as metric, value from metrics"
        " where slice = 'all' and k is not null and stage in ('recall', 'rank')"
        " and metric in ('ndcg', 'recall')"
    )
    _bars = (
        alt.Chart(_quality)
        .mark_bar()
        .encode(
            x=alt.X("value", title=None),
            y=alt.Y("model", sort="-x", title=None),
            color=alt.Color("stage", title=None),
            tooltip=["stage", "model", "metric", alt.Tooltip("value", format=".4f")],
        )
        .properties(width=260)
        .facet(alt.Facet("metric", title=None), columns=2)
        .resolve_scale(x="independent", y="independent")
    )
    mo.vstack([mo.md("## How good, on the ratings that the run held back"), _bars])
    return


@app.cell
def _(ask, refresh):
    _ = refresh.value
    _favourites = ask(
        "select title, count(*) / (select count(distinct user_id) from recommendations) as share"
        " from recommendations where rank <= 10 group by title order by share desc limit 20"
    )
    _films = (
        alt.Chart(_favourites)
        .mark_bar()
        .encode(
            x=alt.X("share", axis=alt.Axis(format="%"), title="of the users have it in their top ten"),
            y=alt.Y("title", sort="-x", title=None, axis=alt.Axis(labelLimit=260)),
        )
    )
    mo.vstack([mo.md("## The most recommended films"), _films])
    return


@app.cell
def _(ask, refresh):
    _ = refresh.value
    _steps = ask(
        "select step, seconds, rows from lineage where release_id ="
        " (select release_id from releases order by created_at desc limit 1)"
    )
    _times = (
        alt.Chart(_steps)
        .mark_bar()
        .encode(
            x=alt.X("seconds"), y=alt.Y("step", sort=None, title=None), tooltip=["step", "seconds", "rows"]
        )
    )
    mo.vstack([mo.md("## Where the time went"), _times])
    return


@app.cell
def _(ask, refresh, rows):
    _ = refresh.value
    mo.vstack(
        [mo.md("## Checks before publication"), rows(ask("from checks order by passed, blocking desc"))]
    )
    return


if __name__ == "__main__":
    app.run()

"""The screen of the way of one film for one user."""

from rich.text import Text

from flows.command.screens.terminal import err, numeric_table, out
from tasks.commands.answer import Answer


def show(answer: Answer) -> None:
    """The verdict, the channels, the later stages, the features that weighed most."""
    published = answer["published"]
    where = "not in the list" if published is None else f"at {published['rank']} of the list"
    out.print(f"{answer['item']['title']} for user {answer['user_id']}: {where}", style="bold", markup=False)
    verdict = answer["verdict"]
    out.print(verdict[:1].upper() + verdict[1:], markup=False)
    if published is not None:
        out.print(published["reason"], style="dim", markup=False)
    if (newcomer := answer["newcomer"]) is not None:
        out.print(
            f"A newcomer, with {newcomer['n_ratings']} of {newcomer['until']} ratings: {newcomer['channel']} "
            "alone answers, no ranker (merge.newcomers)",
            style="dim",
        )
    if not answer["agrees"]:
        err.print("[yellow]Recomputed now it ends elsewhere: last digits of scores differ here.[/]")
    if answer["merge"] is not None:
        _channels(answer)
        _stages(answer)
    if answer["rank"] is not None and answer["rank"]["features"]:
        _features(answer["rank"])
    carried = f", which took the list over from {answer['computed_by']}" if answer["carried_over"] else ""
    out.print(f"release {answer['release_id']}{carried}", style="dim")


def _channels(answer: Answer) -> None:
    table = numeric_table("recalled by", "at", "score", "part of the merged score")
    for row in sorted(answer["recall"], key=lambda row: -row["contribution"]):
        if row["rank"] is not None:
            table.add_row(
                Text(row["channel"]), str(row["rank"]), f"{row['score']:.4g}", f"{row['contribution']:.3f}"
            )
    if table.row_count:
        out.print(table)


def _stages(answer: Answer) -> None:
    """Rank and score in each stage that the film reached."""
    table = numeric_table("stage", "at", "score")
    rank = answer["rank"]
    for name, found in (
        ("merge", answer["merge"]),
        ("pre-rank", answer["prerank"]),
        ("" if rank is None else f"{rank['ranker']} alone", rank and rank["alone"]),
        ("rank", rank),
        ("re-rank", answer["rerank"]),
    ):
        if found is not None:
            table.add_row(Text(name), str(found["rank"]), f"{found['score']:.4f}")
    out.print(table)


def _features(rank: Answer) -> None:
    table = numeric_table(f"features that weighed most in {rank['ranker']}", "log odds")
    for row in rank["features"]:
        table.add_row(Text(row["feature"]), f"{row['contribution']:+.3f}")
    out.print(table)

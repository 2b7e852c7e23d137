"""Validation of the form of a release, which it must have to be published."""

from pathlib import Path

import duckdb

from warehouse import sql
from warehouse.errors import MatineeError
from warehouse.releases.checks import Check
from warehouse.runs import snapshot
from warehouse.runs.run import Run


def validate(run: Run, file: Path, top_n: int) -> list[Check]:
    """Reopen the closed file of a release as a reader would and look for rows that break a check.

    Each file of ``warehouse/sql/checks`` is one, named as the rule that it states. Of an incremental release
    they see the users that it refreshes: all others' rows are those of its parent, which passed. Returns the
    checks.

    Raises:
        MatineeError: one is broken.
    """
    passed = []
    with snapshot.connect(run) as con:
        sql.attach(con, file, "release")
        if run.kind == "incremental":
            _restrict(con, run)
        con.execute("set search_path = 'release,memory,temp'")
        sql.set_variables(con, top_n=top_n, release_id=run.id)
        for check in sql.names("checks"):
            broken = con.execute(sql.load(check)).fetchmany(3)
            rule = check.removeprefix("checks/").replace("_", " ")
            passed.append(Check("recommendations", rule, True, None, None, True, "no row breaks the rule"))
            if broken:
                raise MatineeError(f"the new release is not published: '{rule}' fails, e.g. for {broken}")
    return passed


def _restrict(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Hide tables of all users behind temporary ones of those that an incremental run refreshes."""
    parent = run.parent()
    seen_before = snapshot.seen_before(parent)
    sql.set_variables(
        con, release_id=run.id, seen_batches=snapshot.seen_batches(parent), seen_before=seen_before
    )
    con.execute(sql.load("serving/refreshed_users"))

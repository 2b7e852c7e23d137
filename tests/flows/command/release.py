"""A published release written by hand: a few films, two users, metrics and curves."""

import json
import shutil
from pathlib import Path

import duckdb

from warehouse import sql

RELEASE = "20260101-000000-000001"
SECOND = "20260102-000000-000001"

FILMS = """
insert into items values
    (1, 'Toy Story (1995)', 1995, ['Animation', 'Comedy']),
    (2, 'Toy Story 2 (1999)', 1999, ['Animation', 'Comedy']),
    (3, 'Titanic (1953)', 1953, ['Drama']),
    (4, 'Titanic (1997)', 1997, ['Drama', 'Romance']),
    (5, 'Sixth Sense, The (1999)', 1999, ['Thriller']),
    (6, 'Misérables, Les (1995)', 1995, ['Drama']),
    (7, 'Child''s Play (1988)', 1988, ['Horror']),
    (8, 'Terminator, The (1984)', 1984, ['Action']),
    (9, 'Terminator 2: Judgment Day (1991)', 1991, ['Action']);
create table item_features as
    select item_id, 10 * item_id as n_ratings from items;
"""

USERS = """
insert into users values (1, 'F', 25, 0, '12345'), (2, null, null, null, null);
create table user_features (
    user_id bigint, n_ratings bigint, rating_mean double, top_genres varchar[],
    first_event_at timestamp, last_event_at timestamp
);
insert into user_features values
    (1, 20, 3.5, ['Drama'], '2000-01-01', '2000-02-01'), (2, 0, null, null, null, null);
"""

LISTS = f"""
insert into recommendations
    select user_id, item_id, item_id, title, 1 / item_id, ['popular', 'ease'], null,
        'You saw [rec] [/x]', null, 1, '{RELEASE}'
    from items, users where item_id <= 5;
insert into default_recommendations select 'all', item_id, item_id, title, 1 / item_id from items;
insert into item_similarity
    select channel, 1, item_id, item_id - 1, 1 / item_id
    from items, (values ('swing'), ('item_cf')) as channels (channel) where item_id between 2 and 4;
insert into questions values (1, 3, 0.2), (2, 1, 0.3);
insert into item_communities
    select item_id, case when item_id <= 3 then 1 when item_id = 4 then 2 end, item_id / 45 from items;
"""

ABOUT = f"""
insert into releases values
    ('{RELEASE}', 'full', null, '2003-02-28 17:49:51', '2026-01-01 00:00:00', 450, '{{}}', '0.1', 'ml-1m', 2);
insert into lineage (release_id, step, inputs, outputs, rows, seconds, peak_memory_mb) values
    ('{RELEASE}', 'features', [], [], 1, 0.5, 100), ('{RELEASE}', 'recall <b>', [], [], 1, 2.5, 100);
insert into metrics values
    ('{RELEASE}', 'rank', 'gbdt', 'daily', 'all', 'blend_weight', null, 0.75, 12),
    ('{RELEASE}', 'rank', 'gbdt', 'daily', 'all', 'ndcg', 10, 0.06, 12),
    ('{RELEASE}', 'recall', 'popular', 'daily', 'all', 'ndcg', 10, 0.04, 12),
    ('{RELEASE}', 'rank', 'gbdt', 'daily', 'isotonic', 'calibration_error', null, 0.0123, 12);
create table if not exists curves (
    release_id varchar, stage varchar, model varchar, curve varchar, x double, y double
);
insert into curves values
    ('{RELEASE}', 'train', 'two_tower', 'loss', 1, 5.5),
    ('{RELEASE}', 'train', 'two_tower', 'loss', 2, 5.25),
    ('{RELEASE}', 'train', 'two_tower', 'ndcg@10', 1, 0.16),
    ('{RELEASE}', 'train', 'two_tower', 'ndcg@10', 2, 0.17),
    ('{RELEASE}', 'train', 'dssm', 'loss', 1, 2.5),
    ('{RELEASE}', 'train', 'dssm', 'loss', 2, 2.125),
    ('{RELEASE}', 'rank', 'gbdt', 'ndcg@10 by blend weight', 0, 0.0625),
    ('{RELEASE}', 'rank', 'gbdt', 'ndcg@10 by blend weight', 0.75, 0.0875),
    ('{RELEASE}', 'rank', 'gbdt', 'reliability isotonic', 0.01, 0),
    ('{RELEASE}', 'rank', 'gbdt', 'reliability isotonic', 0.1, 0.125);
"""


def write(home: Path) -> Path:
    """The release, published in a home that has nothing else."""
    folder = home / "serving"
    folder.mkdir(parents=True)
    file = folder / f"recs-{RELEASE}.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(sql.load("serving/schema"))
        con.execute(sql.load("serving/macros"))
        for script in (FILMS, USERS, LISTS, ABOUT):
            con.execute(script)
    (folder / "current.duckdb").symlink_to(file.name)
    entry = {
        "action": "publish",
        "previous": None,
        "release_id": RELEASE,
        "kind": "full",
        "parent_id": None,
        "as_of": "2003-02-28T17:49:51",
        "created_at": "2026-01-01T00:00:00",
        "n_events": 450,
        "config": "{}",
        "code_version": "0.1",
        "source": "[ml]",
        "schema_version": 2,
    }
    (folder / "journal.jsonl").write_text(json.dumps(entry) + "\n")
    return home


CHANGES = f"""
update releases set config = '{{"seed": 0, "rank": {{"ranker": "gbdt"}}}}';
insert into releases
    select '{SECOND}', kind, '{RELEASE}', as_of + interval 1 day, created_at + interval 1 day, n_events + 3,
        '{{"seed": 1, "rank": {{"ranker": "gbdt"}}}}', code_version, source, schema_version
    from releases;
update recommendations set release_id = '{SECOND}';
update recommendations set rank = 3 - rank where user_id = 1 and rank <= 2;
update recommendations set item_id = 9, title = 'Terminator 2: Judgment Day (1991)'
    where user_id = 1 and rank = 5;
update user_features set n_ratings = n_ratings + 3 - user_id;
update metrics set release_id = '{SECOND}', value = 0.5 where metric = 'blend_weight';
update metrics set release_id = '{SECOND}' where metric <> 'blend_weight';
update metrics set value = value + 0.01 where metric = 'ndcg';
update curves set release_id = '{SECOND}';
update lineage set release_id = '{SECOND}';
insert into checks values
    ('{SECOND}', 'events', 'drift: genre', false, 0.5, 0.25, false, 'drift: genre: 0.5 is the PSI of genre'),
    ('{SECOND}', 'recommendations', 'top film', false, 0.99, 0.95, true, 'top film: 0.99 of the first pages'),
    ('{SECOND}', 'events', 'clock', true, 0, 301, true, 'clock: 0 seconds ahead of the clock');
"""
"""A release of the next day: user 1 has two films swapped and one replaced, user 2 a first rating."""


def write_second(home: Path, held: bool = False) -> Path:
    """A second release, published a day later, or held; returns its file."""
    folder = home / "serving"
    file = folder / f"{'held' if held else 'recs'}-{SECOND}.duckdb"
    shutil.copyfile(folder / f"recs-{RELEASE}.duckdb", file)
    with duckdb.connect(str(file)) as con:
        con.execute(CHANGES)
    row = {"release_id": SECOND, "parent_id": RELEASE, "created_at": "2026-01-02T00:00:00"}
    row = json.loads((folder / "journal.jsonl").read_text()) | row
    if held:
        (folder / f"held-{SECOND}.json").write_text(json.dumps(row | {"failed": ["top film: 0.99"]}))
        return file
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps(row | {"previous": RELEASE}) + "\n")
    (folder / "current.duckdb").unlink()
    (folder / "current.duckdb").symlink_to(file.name)
    return file


def execute(home: Path, script: str) -> None:
    """Change the release."""
    with duckdb.connect(str(home / "serving" / "current.duckdb")) as con:
        con.execute(script)

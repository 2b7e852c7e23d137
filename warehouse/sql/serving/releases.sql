-- Variable: releases (JSON, an array of objects with these columns).
insert into releases by name
select unnest(
    from_json(
        getvariable('releases'),
        '[{
            "release_id": "varchar",
            "kind": "varchar",
            "parent_id": "varchar",
            "as_of": "timestamp",
            "created_at": "timestamp",
            "n_events": "bigint",
            "config": "varchar",
            "code_version": "varchar",
            "source": "varchar",
            "schema_version": "integer"
        }]'
    ),
    recursive := true
);

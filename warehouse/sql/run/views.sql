-- What one run sees of the log and the catalogue.
-- Variables: files (the event files), as_of (exclusive). Frames: catalog_items, catalog_users.

-- grain: user, item (a later rating of the same film replaces the earlier one); key: user_id, item_id
create or replace temp table events as
with
log as (
    select user_id, item_id, rating, event_at, batch, line
    from read_parquet(getvariable('files'))
    where event_at < getvariable('as_of')
),
latest as (
    select *
    from log
    qualify row_number() over (partition by user_id, item_id order by event_at desc, batch desc, line desc) = 1
)
select user_id, item_id, rating, event_at, batch, line
from latest
order by user_id, event_at, batch, line;

-- grain: item; key: item_id
create or replace temp table items as
select item_id, title, year, genres
from catalog_items
order by item_id;

-- grain: user; key: user_id. Users of the log whom no users file names have null demographics.
create or replace temp table users as
with
named as (
    select user_id, gender, age, occupation, zip
    from catalog_users
),
unnamed as (
    select distinct user_id
    from events
    where user_id not in (select user_id from named)
)
select user_id, gender, age, occupation, zip from named
union all
select user_id, null, null, null, null from unnamed
order by user_id;

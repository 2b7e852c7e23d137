-- The catalogue. Frames: catalog_items, catalog_users. Table or view: events (user_id).

-- grain: item; key: item_id
create or replace temp table items as
select * -- some catalogues have columns of content
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

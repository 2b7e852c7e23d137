-- The log of one run. Variables: files (the event files), as_of (exclusive).
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

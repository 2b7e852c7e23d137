-- one row: the new events of a run, and how many of them the most active user and the most rated film have.
-- Variables: files (the event files), as_of (exclusive), seen_before (the as_of of the release before), seen_batches
-- (sequence numbers of its event files).
with
new_events as (
    select user_id, item_id
    from read_parquet(getvariable('files'))
    where
        event_at < getvariable('as_of')
        and (event_at >= getvariable('seen_before') or not list_contains(getvariable('seen_batches'), batch))
)
select
    count(*) as events,
    coalesce((select max(n) from (select count(*) as n from new_events group by user_id)), 0) as of_a_user,
    coalesce((select max(n) from (select count(*) as n from new_events group by item_id)), 0) as of_a_film
from new_events;

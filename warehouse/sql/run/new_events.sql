-- one row: how many events of the log an earlier run did not see: later ones, and those of later batches.
-- Only the pairs of user and film that have such a rating are looked up in the whole log: it may hold a later one.
-- Variables: files (the event files), as_of (exclusive), seen_before (the earlier as_of), seen_batches
-- (sequence numbers of its event files).
with
log as (
    select
        user_id,
        item_id,
        event_at,
        batch,
        line,
        event_at >= getvariable('seen_before') or not list_contains(getvariable('seen_batches'), batch) as is_new
    from read_parquet(getvariable('files'))
    where event_at < getvariable('as_of')
),
touched as (
    select distinct user_id, item_id
    from log
    where is_new
),
latest as (
    select log.is_new
    from log
    semi join touched using (user_id, item_id)
    qualify row_number() over (partition by user_id, item_id order by event_at desc, batch desc, line desc) = 1
)
select count(*) from latest where is_new;

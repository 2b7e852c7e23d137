-- Histograms of the new events of a run and of the events of a window before them. grain: distribution, bin
-- Variables: as for gate/arrived, and window_from (where the window begins). Tables: items. units: independent ones,
-- which are users: what one of them rates hangs together.
with
events as (
    select
        user_id,
        item_id,
        rating,
        event_at::date as day,
        event_at >= getvariable('seen_before') or not list_contains(getvariable('seen_batches'), batch) as is_new
    from read_parquet(getvariable('files'))
    where event_at < getvariable('as_of') and event_at >= getvariable('window_from')
),
-- Films by how often they were rated in the window: each bin has a tenth of its ratings, one more the other films.
popularity as (
    select
        item_id,
        least(9, floor(10 * (sum(n) over (order by n desc, item_id) - n) / sum(n) over ()))::integer as bin
    from (select item_id, count(*) as n from events where not is_new group by item_id)
),
binned as (
    select 'rating' as distribution, rating::varchar as bin, user_id, is_new
    from events
    union all
    select 'popularity', coalesce(bin, 10)::varchar, user_id, is_new
    from events
    left join popularity using (item_id)
    union all
    select 'genre', genre, user_id, is_new
    from events
    join (select item_id, unnest(genres) as genre from items) using (item_id)
    union all
    select 'activity', floor(log2(count(*)))::varchar, user_id, is_new
    from events
    group by user_id, day, is_new
),
units as (
    select
        distribution,
        count(distinct user_id) filter (not is_new) as users_before,
        count(distinct user_id) filter (is_new) as users_after
    from binned
    group by distribution
)
select
    distribution,
    bin,
    count(*) filter (not is_new) as before,
    count(*) filter (is_new) as after,
    any_value(users_before) as users_before,
    any_value(users_after) as users_after
from binned
join units using (distribution)
group by distribution, bin
order by distribution, bin;

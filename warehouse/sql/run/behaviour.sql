-- What each user did with each film. Variables: files (of behaviour), since, as_of (exclusive). Tables: users
-- (user_id, user_idx), items (item_id, item_idx).
-- grain: user, item; sorted by both. What is not known is null.
select
    users.user_idx,
    items.item_idx,
    max(clicked::float) as clicked,
    max(liked::float) as liked,
    max(collected::float) as collected,
    max(shared::float) as shared,
    max(watch_seconds) as watch_seconds,
    max(duration_seconds) as duration_seconds
from read_parquet(getvariable('files')) as showings
join users using (user_id)
join items using (item_id)
where showings.event_at >= getvariable('since') and showings.event_at < getvariable('as_of')
group by users.user_idx, items.item_idx
order by users.user_idx, items.item_idx;

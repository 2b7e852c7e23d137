-- Every exposure from a moment on. Variables: files (of exposures), since, as_of (exclusive), ranks (the first of a list
-- that count; null for all). Tables: users (user_id, user_idx), items (item_id, item_idx).
-- grain: user, item, shown_at; sorted by user and time
select
    users.user_idx,
    items.item_idx,
    epoch(shown.shown_at)::bigint as at,
    coalesce(shown.rank, 0) as rank
from read_parquet(getvariable('files')) as shown
join users using (user_id)
join items using (item_id)
where
    shown.shown_at >= getvariable('since')
    and shown.shown_at < getvariable('as_of')
    and coalesce(shown.rank <= getvariable('ranks'), true)
order by users.user_idx, shown.shown_at, items.item_idx;

-- What target users were shown lately, to be read as a stream. Variables: files (of exposures), since, as_of
-- (exclusive), ranks (the first of a list that count; null for all). Tables: users (user_id, user_idx) of the target
-- users, items (item_id, item_idx).
-- grain: user, item; sorted by both
select distinct users.user_idx, items.item_idx
from read_parquet(getvariable('files')) as shown
join users using (user_id)
join items using (item_id)
where
    shown.shown_at >= getvariable('since')
    and shown.shown_at < getvariable('as_of')
    and coalesce(shown.rank <= getvariable('ranks'), true)
order by users.user_idx, items.item_idx;

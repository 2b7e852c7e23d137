-- What users asked not to see; of each user and film the newest request counts. Variables: files (of requests), until
-- (exclusive). Tables: users (user_id, user_idx), items (item_id, item_idx).
-- grain: user, item; sorted by both
with newest as (
    select user_id, item_id, arg_max(coalesce(action, 'block'), (requested_at, batch, line)) as action
    from read_parquet(getvariable('files'))
    where requested_at < getvariable('until')
    group by user_id, item_id
)
select users.user_idx, items.item_idx
from newest
join users using (user_id)
join items using (item_id)
where action = 'block'
order by users.user_idx, items.item_idx;

-- grain: user, event; the newest events of some users before a time, the newest first
select user_id, title, rating, event_at
from read_parquet($files)
join items using (item_id)
where event_at < $as_of and list_contains($users::bigint[], user_id)
qualify row_number() over (partition by user_id order by event_at desc, item_id) <= $n
order by user_id, event_at desc, item_id;

-- grain: rating, also of a film rated before; in the order of Dataset: user, time, order of the file
select user_id, item_id, rating, epoch(event_at)::bigint as at
from read_parquet(getvariable('files'))
order by user_id, event_at, batch, line;

-- The events of some event files from a moment on. Variables: files, since, as_of (exclusive).
-- grain: rating, also of a film rated before
select user_id, item_id, rating, epoch(event_at)::bigint as at, batch, line
from read_parquet(getvariable('files'))
where event_at >= getvariable('since') and event_at < getvariable('as_of');

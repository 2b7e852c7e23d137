-- The log of one run, to be read as a stream. Variables: files (the event files), as_of (exclusive).
-- Tables: users (user_id, user_idx), items (item_id, item_idx).
-- grain: rating, also of a film rated before; by user, time and order of the file. The item comes last for
-- rows that return from the quarantine: their line is that of an earlier file.
select users.user_idx, items.item_idx, log.rating, epoch(log.event_at)::bigint as at, log.batch
from read_parquet(getvariable('files')) as log
join users using (user_id)
join items using (item_id)
where log.event_at < getvariable('as_of')
order by users.user_idx, log.event_at, log.batch, log.line, items.item_idx;

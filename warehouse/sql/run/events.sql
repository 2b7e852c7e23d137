-- grain: row of the table events; in the order of Dataset: user, time, order of the file
select user_id, item_id, rating, epoch(event_at)::bigint as at, batch
from events
order by user_id, event_at, batch, line;

-- Who has events before the run's moment. Variables: files (the event files), as_of (exclusive).
-- grain: user
create or replace temp view events as
select distinct user_id
from read_parquet(getvariable('files'))
where event_at < getvariable('as_of');

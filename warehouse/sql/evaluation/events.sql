-- The whole log. Variable: files (the event files).
-- grain: rating, also of a film rated before
create or replace temp table events as
select user_id, item_id, rating, event_at, batch, line
from read_parquet(getvariable('files'));

-- The events of a run with the ids of the source. Tables: log (arrays of dense indices), user_ids, item_ids.
-- grain: user, item; key: user_id, item_id
create or replace temp view events as
select
    user_ids.user_id,
    item_ids.item_id,
    log.rating,
    make_timestamp(log.at * 1000000) as event_at,
    log.batch
from log
join user_ids using (user_idx)
join item_ids using (item_idx);

-- What the checks look at of an incremental release: the rows of users that it has refreshed, or should have; all
-- else is as its parent's, which was checked. Attached: release. Tables: log, user_ids, item_ids (of its run).
-- Variables: release_id, seen_batches, seen_before (epoch seconds) of its parent.
create temp table refreshed as
select distinct user_id from release.recommendations where release_id = getvariable('release_id')
union
select user_id from release.users anti join release.recommendations using (user_id)
union
select user_ids.user_id
from log
join user_ids using (user_idx)
where log.at >= getvariable('seen_before') or not list_contains(getvariable('seen_batches'), log.batch);

create or replace temp table users as
from release.users semi join refreshed using (user_id);

create temp table recommendations as
from release.recommendations semi join refreshed using (user_id);

create temp table user_embeddings as
from release.user_embeddings semi join refreshed using (user_id);

create temp table item_similarity as
from release.item_similarity limit 0;

drop view events;

create temp table events as
select user_ids.user_id, item_ids.item_id
from log
join (from user_ids semi join refreshed using (user_id)) as user_ids using (user_idx)
join item_ids using (item_idx);

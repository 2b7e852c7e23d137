-- Users who asked for something that an earlier run did not know of. Variables: files (of requests), seen_files (those
-- that it read), seen_before (its as_of), as_of (exclusive).
-- grain: user
select distinct user_id
from read_parquet(getvariable('files'), filename = true)
where
    requested_at < getvariable('as_of')
    and (requested_at >= getvariable('seen_before') or not list_contains(getvariable('seen_files'), filename))
order by user_id;

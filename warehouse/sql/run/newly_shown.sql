-- Users who were shown something that an earlier run did not know of. Variables: files (of exposures), seen_files (those
-- that it read), seen_until (until when they counted for it), until (exclusive).
-- grain: user
select distinct user_id
from read_parquet(getvariable('files'), filename = true)
where
    shown_at < getvariable('until')
    and (shown_at >= getvariable('seen_until') or not list_contains(getvariable('seen_files'), filename))
order by user_id;

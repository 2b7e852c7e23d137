-- one row: the exposures of some files of the log
select
    count(*) as exposures,
    count(distinct user_id) as users,
    count(distinct item_id) as films,
    min(shown_at) as first_at,
    max(shown_at) as last_at
from read_parquet($files)
where shown_at < $as_of;

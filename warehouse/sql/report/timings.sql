-- grain: release, step; channels together
select
    release_id,
    if(starts_with(step, 'recall '), 'recall', step) as step,
    sum(seconds) as seconds
from read_parquet($files)
group by all
order by release_id, step;

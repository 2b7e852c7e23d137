-- grain: metric; of each stage those of the newest release that measured it: hourly ones do not train a ranker
select stage, model, protocol, slice, metric, k, value, n_users
from metrics
join releases using (release_id)
where metric <> 'coverage' -- a hundred rows, one a feature
qualify created_at = max(created_at) over (partition by stage)
order by stage, model, protocol, slice, metric, k;

-- grain: metric of the published release
select stage, model, protocol, slice, metric, k, value, n_users
from metrics
where release_id = $release_id
order by stage, model, protocol, slice, metric, k;

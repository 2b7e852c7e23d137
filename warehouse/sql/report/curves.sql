-- grain: curve, x; of each stage those of the newest release that measured it: hourly ones do not train a ranker
select stage, model, curve, x, y
from curves
join releases using (release_id)
qualify created_at = max(created_at) over (partition by stage)
order by stage, model, curve, x;

-- grain: stage, model, curve, x; of each stage those of the newest release that measured it
select stage, model, curve, x, y
from curves
join releases using (release_id)
qualify created_at = max(created_at) over (partition by stage)
order by stage, model, curve, x;

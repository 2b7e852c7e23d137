select user_id
from recommendations
group by user_id
having min(rank) <> 1 or max(rank) <> count(*) or count(distinct rank) <> count(*)

-- somebody nobody knows gets the segment `all`, gapless from 1
select 'all' as segment
where (select count(*) from default_recommendations where segment = 'all') = 0
union all
select segment
from default_recommendations
group by segment
having min(rank) <> 1 or max(rank) <> count(*)

-- the keys of the tables that have no index: every key at most once; of recommendations also (user, item)
select 'recommendations' as relation, concat_ws(', ', user_id, item_id) as key
from recommendations
group by user_id, item_id
having count(*) > 1
union all
select 'item_embeddings', concat_ws(', ', model, item_id)
from item_embeddings
group by model, item_id
having count(*) > 1
union all
select 'user_embeddings', concat_ws(', ', model, user_id)
from user_embeddings
group by model, user_id
having count(*) > 1
union all
select 'item_communities', item_id::varchar
from item_communities
group by item_id
having count(*) > 1
union all
select 'questions', rank::varchar
from questions
group by rank
having count(*) > 1
union all
select 'checks', concat_ws(', ', release_id, "check")
from checks
group by release_id, "check"
having count(*) > 1
union all
select 'curves', concat_ws(', ', release_id, stage, model, curve, x)
from curves
group by release_id, stage, model, curve, x
having count(*) > 1

-- the key of item_similarity, which has no index
select channel, item_id, neighbour_id
from item_similarity
group by channel, item_id, neighbour_id
having count(*) > 1

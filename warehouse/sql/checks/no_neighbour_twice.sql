-- item_similarity has no index: its key is checked here
select channel, item_id, neighbour_id
from item_similarity
group by channel, item_id, neighbour_id
having count(*) > 1

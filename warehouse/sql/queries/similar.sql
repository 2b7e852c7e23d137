select rank, neighbour_id as item_id, title, year, genres, score
from item_similarity
join items on items.item_id = neighbour_id
where item_similarity.item_id = $item_id and channel = $channel and rank <= $n
order by rank;

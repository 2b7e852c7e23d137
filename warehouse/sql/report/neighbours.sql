-- grain: film, channel, rank; the nearest films of some films
select similar_to.item_id, channel, rank, items.title
from item_similarity as similar_to
join items on items.item_id = neighbour_id
where rank <= $n and list_contains($items::bigint[], similar_to.item_id)
order by similar_to.item_id, channel, rank;

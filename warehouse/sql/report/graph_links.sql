-- grain: two of the films, the lower id first, of which one is among the nearest of the other by some channel
select distinct least(item_id, neighbour_id) as low, greatest(item_id, neighbour_id) as high
from item_similarity
where
    rank <= 3
    and list_contains($items::bigint[], item_id)
    and list_contains($items::bigint[], neighbour_id)
order by low, high;

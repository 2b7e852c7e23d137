select rank, item_id, recommendations.title, year, genres, score, channels, because_item_id, reason, release_id
from recommendations
join items using (item_id)
where user_id = $user_id and rank <= $n
order by rank;

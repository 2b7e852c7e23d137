select rank, item_id, score, channels, because_item_id, reason, release_id
from recommendations
where user_id = $user_id
order by rank;

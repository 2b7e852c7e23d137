-- grain: user, rank; the first films of some users
select user_id, rank, item_id, title, reason, channels
from recommendations
where rank <= $n and list_contains($users::bigint[], user_id)
order by user_id, rank;

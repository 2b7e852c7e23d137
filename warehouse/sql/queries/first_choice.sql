-- no or one row: a user to ask about, 42 if there is one, and the first film of the list.
-- grain: none
select user_id, item_id
from recommendations
where rank = 1
order by user_id != 42, user_id
limit 1;

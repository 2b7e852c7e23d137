-- every (user, item) at most once: the primary key only guards (user, rank)
select user_id, item_id from recommendations group by user_id, item_id having count(*) > 1

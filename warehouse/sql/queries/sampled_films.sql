-- The first films of some users, drawn by the release: other users in the next one. grain: user, rank
with
newest as (select release_id from releases order by created_at desc limit 1),
chosen as (
    select user_id
    from users, newest
    order by hash(user_id::varchar || newest.release_id), user_id
    limit $users
)
select user_id as user, rank, title as film, reason as why
from recommendations
semi join chosen using (user_id)
where rank <= $films
order by user_id, rank;

-- every user has exactly min(N, unseen items) rows
with
seen as (
    select user_id, count(*) as n from events group by user_id
),
expected as (
    select
        users.user_id,
        least(getvariable('top_n'), (select count(*) from items) - coalesce(seen.n, 0)) as n
    from users
    left join seen using (user_id)
),
found as (
    select user_id, count(*) as n from recommendations group by user_id
)
select user_id
from expected
full join found using (user_id)
where coalesce(expected.n, -1) <> coalesce(found.n, 0)

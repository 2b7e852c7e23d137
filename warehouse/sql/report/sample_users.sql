-- grain: user; some spread evenly by their number of ratings, those who came last, some without ratings, and $others
with
numbered as (
    select
        user_id,
        n_ratings,
        row_number() over (order by n_ratings desc, user_id) - 1 as position,
        row_number() over (order by first_event_at desc nulls last, user_id) as newest,
        count(*) over () as n
    from user_features
),
chosen as (
    select
        user_id,
        case
            when n_ratings = 0 then 'without ratings'
            when newest <= $newest then 'newest'
            when list_contains($others::bigint[], user_id) then 'changed most'
            else 'others, by number of ratings'
        end as sort
    from numbered
    where
        position % greatest(n // $spread, 1) = 0
        or newest <= $newest
        or list_contains($others::bigint[], user_id)
        or n_ratings = 0
    qualify row_number() over (partition by sort order by user_id) <= if(sort = 'without ratings', $newest, $spread)
)
select sort, user_id, gender, age, n_ratings, rating_mean, top_genres
from chosen
join user_features using (user_id)
join users using (user_id)
order by sort, n_ratings, user_id;

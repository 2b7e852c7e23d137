with
numbered as (
    select user_id, row_number() over (order by user_id) - 1 as position, count(*) over () as n from users
),
chosen as (
    select user_id
    from numbered
    where position % greatest(n // $users, 1) = 0
    order by user_id
    limit $users
)
select
    chosen.user_id as user,
    coalesce(user_features.n_ratings, 0) as ratings,
    array_to_string(user_features.top_genres, ', ') as likes,
    string_agg(title, ' · ' order by rank) as films
from chosen
join user_features using (user_id)
join recommendations using (user_id)
where rank <= $films
group by all
order by user;

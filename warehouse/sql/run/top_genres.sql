-- The genres that a user rates more than others do, by smoothed lift: with n ratings of a user, c of them in
-- genre g and p(g) the fraction of g in all ratings, lift = (c + m p(g)) / ((n + m) p(g)), m = 20 pseudo-ratings.
-- Raw counts would give everybody Drama and Comedy. Ties by name. Of the users of `events`; the frame rated_items
-- (item_id, n) has the number of ratings of each film by all users.
-- grain: user with ratings; key: user_id
create or replace temp table top_genres as
with
tagged as (
    select events.user_id, unnest(items.genres) as genre
    from events
    join items using (item_id)
),
all_tagged as (
    select unnest(items.genres) as genre, rated_items.n
    from rated_items
    join items using (item_id)
    where rated_items.n > 0
),
overall as (
    select genre, sum(n) / (select sum(n) from rated_items) as p
    from all_tagged
    group by genre
),
taste as (
    select user_id, genre, count(*) as c
    from tagged
    group by user_id, genre
),
activity as (
    select user_id, count(*) as n
    from events
    group by user_id
),
lift as (
    select taste.user_id, genre, (c + 20 * p) / ((n + 20) * p) as lift
    from taste
    join overall using (genre)
    join activity using (user_id)
),
ranked as (
    select *, row_number() over (partition by user_id order by lift desc, genre) as rank
    from lift
)
select user_id, list(genre order by rank) as genres
from ranked
where rank <= 3
group by user_id;

-- one row: how much of the catalogue first pages (ten films) reach, how evenly, and how old the rows are.
-- gini: 0 if all films are on as many pages, 1 if one film has all places. films_of_half: films that have half of all
-- places. users_like_everybody: users whose page has most of the films of the list for everybody.
with
places as (
    select user_id, item_id, genres, propensity, len(channels) = 0 as is_filler
    from recommendations
    join items using (item_id)
    where rank <= 10
),
pages as (
    select
        user_id,
        len(list_distinct(flatten(list(genres)))) as n_genres,
        count(*) filter (item_id in (select item_id from default_recommendations where segment = 'all' and rank <= 10))
            as n_default
    from places
    group by user_id
),
films as (
    select
        items.item_id,
        items.title,
        count(places.item_id) as n,
        row_number() over (order by count(places.item_id), items.item_id) as position,
        sum(count(places.item_id)) over (order by count(places.item_id) desc, items.item_id) as n_up_to
    from items
    left join places using (item_id)
    group by items.item_id, items.title
)
select
    (select count(*) from users) as users,
    (select count(*) from items) as items,
    (select count(*) from films where n > 0) as items_listed,
    (select sum((2 * position - count - 1) * n) / greatest(count * sum(n), 1)
     from films, (select count(*) as count from films)
     group by count) as gini,
    (select count(*) from films where n > 0 and n_up_to - n < (select sum(n) from films) / 2) as films_of_half,
    (select title from films order by n desc, item_id limit 1) as top_film,
    (select max(n) from films) / greatest((select count(*) from pages), 1) as top_film_fraction,
    (select avg(n_genres) from pages) as genres_per_page,
    (select count(*) from pages where n_default > 5) as users_like_everybody,
    (select count(*) from places where propensity < 1) / greatest((select count(*) from places), 1) as explored,
    (select count(*) from places where is_filler) / greatest((select count(*) from places), 1) as fillers,
    (select count(distinct user_id) from recommendations where release_id = $release_id) as users_refreshed,
    (select count(distinct user_id) from recommendations where because_item_id is not null) as users_explained;

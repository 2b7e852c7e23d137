-- grain: community, the largest first; its most central film, and the genre that most of its films have
with
films as (
    select community, item_id, title, genres, centrality
    from item_communities
    join items using (item_id)
    where community <= $n
),
genres as (
    select community, genre, count(*) as n
    from (select community, unnest(genres) as genre from films)
    group by community, genre
),
main_genres as (
    select community, genre
    from genres
    qualify row_number() over (partition by community order by n desc, genre) = 1
)
select
    community,
    count(*) as films,
    first(title order by centrality desc, item_id) as title,
    any_value(genre) as genre
from films
left join main_genres using (community)
group by community
order by community;

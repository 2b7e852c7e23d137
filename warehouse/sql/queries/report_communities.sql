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
)
select
    community,
    count(*) as films,
    arg_max(title, (centrality, -item_id)) as title,
    (
        select arg_max(genre, (n, genre))
        from genres
        where genres.community = films.community
    ) as genre
from films
group by community
order by community;

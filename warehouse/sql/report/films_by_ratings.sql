-- grain: band of films by their number of ratings; their fractions of all ratings and of all places on first pages
with
listed as (
    select item_id, count(*) as n
    from recommendations
    where rank <= 10
    group by item_id
),
films as (
    select
        n_ratings,
        coalesce(n, 0) as n,
        case when n_ratings = 0 then 0 when n_ratings < 10 then 1 when n_ratings < 100 then 10 else 100 end as least
    from items
    join item_features using (item_id)
    left join listed using (item_id)
)
select
    least,
    count(*) as films,
    count(*) filter (n > 0) as listed,
    sum(n_ratings) / greatest((select sum(n_ratings) from films), 1) as ratings,
    sum(n) / greatest((select sum(n) from films), 1) as places
from films
group by least
order by least;

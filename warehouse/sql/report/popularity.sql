-- grain: tenth of the films, the most rated first; its fraction of all ratings, and of all first ten films
with
listed as (
    select item_id, count(*) as n
    from recommendations
    where rank <= 10
    group by item_id
),
tenths as (
    select
        ntile(10) over (order by features.n_ratings desc, items.item_id) as tenth,
        features.n_ratings,
        coalesce(listed.n, 0) as n_listed
    from items
    join item_features as features using (item_id)
    left join listed using (item_id)
)
select
    tenth,
    sum(n_ratings) / greatest((select sum(n_ratings) from tenths), 1) as ratings,
    sum(n_listed) / greatest((select sum(n_listed) from tenths), 1) as listed
from tenths
group by tenth
order by tenth;

-- grain: film, by title; the most rated ones, and as many of the others, spread evenly by their number of ratings
with
numbered as (
    select
        item_id,
        title,
        n_ratings,
        row_number() over (order by n_ratings desc, item_id) as position,
        count(*) over () as n
    from items
    join item_features using (item_id)
)
select item_id, title, n_ratings
from numbered
where position <= $n or position % greatest(n // $n, 1) = 0
order by title, item_id;

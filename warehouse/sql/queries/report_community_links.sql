-- grain: two communities, the lower number first; the fraction of all nearest films that lead from one to the other
with
links as (
    select of_item.community as one, of_neighbour.community as other
    from item_similarity
    join item_communities as of_item on of_item.item_id = item_similarity.item_id
    join item_communities as of_neighbour on of_neighbour.item_id = item_similarity.neighbour_id
    where item_similarity.rank <= 10
)
select
    least(one, other) as one,
    greatest(one, other) as other,
    count(*) / (select count(*) from links) as fraction
from links
where one <> other and one <= $n and other <= $n
group by all
order by one, other;

-- grain: film; the most central ones
select item_id, title, community, centrality
from item_communities
join items using (item_id)
where community is not null
order by centrality desc, item_id
limit $n;

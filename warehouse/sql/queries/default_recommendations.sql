select
    rank,
    item_id,
    default_recommendations.title,
    year,
    genres,
    score,
    []::varchar[] as channels,
    null as because_item_id,
    'Popular with everybody' as reason,
    null as release_id
from default_recommendations
join items using (item_id)
where segment = $segment and rank <= $n
order by rank;

-- grain: rank; the films nearest to $likes less those nearest to $dislikes, by the similarities of a channel, each film
-- that is near a liked one; then, as far as $n goes, what is popular. Named films are left out
with
evidence as (
    select
        neighbour_id as item_id,
        item_id as named_id,
        list_contains($likes::bigint[], item_id) as is_liked,
        if(is_liked, score, -score) as part
    from item_similarity
    where
        channel = $channel
        and (is_liked or list_contains($dislikes::bigint[], item_id))
        and not list_contains($likes::bigint[] || $dislikes::bigint[], neighbour_id)
),
near as (
    select
        item_id,
        sum(part order by named_id) as score,
        arg_max(named_id, (part, -named_id)) filter (is_liked) as because_item_id
    from evidence
    group by item_id
    having because_item_id is not null and sum(part order by named_id) > 0
),
popular as (
    select item_id, rank
    from default_recommendations
    anti join near using (item_id)
    where segment = 'all' and not list_contains($likes::bigint[] || $dislikes::bigint[], item_id)
),
listed as (
    select item_id, score, because_item_id, null as popular_rank from near
    union all
    select item_id, 0 as score, null as because_item_id, rank as popular_rank from popular
)
select
    row_number() over (order by score desc, popular_rank nulls first, listed.item_id) as rank,
    listed.item_id,
    items.title,
    items.year,
    items.genres,
    score,
    if(because_item_id is null, [], [$channel])::varchar[] as channels,
    because_item_id,
    coalesce('Because you like ' || liked.title, 'Popular with everybody') as reason
from listed
join items using (item_id)
left join items as liked on liked.item_id = because_item_id
order by rank
limit $n;

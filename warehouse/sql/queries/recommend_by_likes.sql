-- grain: rank; the films nearest to $likes less those nearest to $dislikes, by the similarities of $channels, each film
-- that is near a liked one; then, as far as $n goes, what is popular. Named films are left out. The nearest film of a
-- named one counts 1 in each channel
with
evidence as (
    select
        channel,
        item_id as named_id,
        neighbour_id as item_id,
        list_contains($likes::bigint[], item_similarity.item_id) as is_liked,
        if(is_liked, 1, -1) * score / max(score) over (partition by channel, item_similarity.item_id) as part
    from item_similarity
    where
        list_contains($channels::varchar[], channel)
        and list_contains($likes::bigint[] || $dislikes::bigint[], item_similarity.item_id)
),
unnamed as (
    from evidence
    where not list_contains($likes::bigint[] || $dislikes::bigint[], item_id)
),
by_film as (
    select item_id, named_id, sum(part order by channel) as part
    from unnamed
    where is_liked
    group by item_id, named_id
),
by_channel as (
    select item_id, channel, sum(part order by named_id) as part
    from unnamed
    where is_liked
    group by item_id, channel
),
causes as (
    select item_id, arg_max(named_id, (part, -named_id)) as because_item_id from by_film group by item_id
),
sources as (
    select item_id, list(channel order by part desc, channel) as channels from by_channel group by item_id
),
near as (
    select item_id, sum(part order by channel, named_id) as score
    from unnamed
    semi join by_film using (item_id)
    group by item_id
    having score > 0
),
popular as (
    select item_id, rank
    from default_recommendations
    anti join near using (item_id)
    where segment = 'all' and not list_contains($likes::bigint[] || $dislikes::bigint[], item_id)
),
listed as (
    select item_id, score, channels, because_item_id, null as popular_rank
    from near
    join sources using (item_id)
    join causes using (item_id)
    union all
    select item_id, 0, [], null, rank from popular
)
select
    row_number() over (order by score desc, popular_rank nulls first, listed.item_id) as rank,
    listed.item_id,
    items.title,
    items.year,
    items.genres,
    score,
    channels,
    because_item_id,
    coalesce('Because you like ' || liked.title, 'Popular with everybody') as reason
from listed
join items using (item_id)
left join items as liked on liked.item_id = because_item_id
order by rank
limit $n;

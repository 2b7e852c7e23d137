-- the film that is named as the reason was watched, and it is plausible: it shares a genre or the community with the
-- film, or is its nearest by a channel that is named. Of rows that this release computed: carried ones were checked
-- against the similarities and communities that they were computed from.
with
explained as (
    select user_id, item_id, channels, because_item_id
    from recommendations
    where because_item_id is not null and release_id = getvariable('release_id')
),
unlike as (
    select explained.*
    from explained
    join release.items as film on film.item_id = explained.item_id
    join release.items as because on because.item_id = because_item_id
    left join release.item_communities as of_film on of_film.item_id = explained.item_id
    left join release.item_communities as of_because on of_because.item_id = because_item_id
    where
        not list_has_any(film.genres, because.genres)
        and coalesce(of_film.community <> of_because.community, true)
),
nearest as (
    select channel, item_id as nearest_to, neighbour_id
    from release.item_similarity
    where rank = 1
)
select user_id, item_id, because_item_id
from unlike
anti join nearest
    on nearest_to = item_id and neighbour_id = because_item_id and list_contains(channels, channel)
union all
select user_id, item_id, because_item_id
from explained
anti join (select user_id as watcher, item_id as watched from events)
    on watcher = user_id and watched = because_item_id

-- grain: user, with or without ratings; key: user_id. The columns are the expressions of features.toml.
-- Of the users of `targets`.
with
rated as (
    select
        events.user_id,
        events.rating,
        events.event_at,
        items.year,
        epoch(getvariable('as_of') - events.event_at) / 86400 as age_days
    from events
    join items using (item_id)
)
select targets.user_id, {features}
from targets
left join rated using (user_id)
left join top_genres using (user_id)
group by targets.user_id
order by targets.user_id

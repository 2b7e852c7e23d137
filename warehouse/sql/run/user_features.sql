-- grain: user, with or without ratings; key: user_id. The columns are the expressions of features.toml.
create or replace temp table user_features as
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
select users.user_id, {features}
from users
left join rated using (user_id)
left join top_genres using (user_id)
group by users.user_id
order by users.user_id;

-- grain: item, with or without ratings; key: item_id. The columns are the expressions of features.toml.
create or replace temp table item_features as
with
rated as (
    select
        item_id,
        rating,
        event_at,
        epoch(getvariable('as_of') - event_at) / 86400 as age_days
    from events
),
overall as (
    select avg(rating) as mean, count(distinct user_id) as n_users
    from events
)
select items.item_id, {features}
from items
cross join overall
left join rated using (item_id)
group by items.item_id
order by items.item_id;

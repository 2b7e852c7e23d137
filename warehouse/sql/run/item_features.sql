-- grain: item, with or without ratings; key: item_id. The columns are the expressions of features.toml.
-- Of the items of `targets`; the frame overall (mean, n_users) is of the ratings of all items.
with
rated as (
    select
        item_id,
        rating,
        event_at,
        epoch(getvariable('as_of') - event_at) / 86400 as age_days
    from events
)
select targets.item_id, {features}
from targets
cross join overall
left join rated using (item_id)
group by targets.item_id
order by targets.item_id

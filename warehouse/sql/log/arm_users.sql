-- The users of an experiment with what they made of their exposures; of those in several arms at different times
-- n_arms is above 1. Table: arm_exposures. View: event_rows.
-- grain: user
with
users as (
    select
        user_id,
        min(arm) as arm,
        count(distinct arm) as n_arms,
        count(*) as n_exposures,
        count_if(is_watched) as n_watched,
        min(shown_at) as first_shown_at
    from arm_exposures
    where not is_recent
    group by user_id
)
select users.* exclude (first_shown_at), count(events.event_at) as n_before
from users
left join event_rows as events
    on events.user_id = users.user_id and events.event_at < users.first_shown_at
group by all
order by users.user_id;

-- The exposures of an experiment, each with whether the film was watched: rated within a time after it was shown, and
-- not shown again before. Views: exposure_rows, event_rows. Variables: experiment, window_days, started_at.
-- grain: user, item, shown_at
create temp table arm_exposures as
with
shown as (
    select
        user_id,
        item_id,
        shown_at,
        rank,
        propensity,
        list_filter(
            string_split(experiment, '|'), lambda arm: starts_with(arm, getvariable('experiment') || '=')
        )[1] as label
    from exposure_rows
),
of_arms as (
    select
        user_id,
        item_id,
        shown_at,
        rank,
        propensity,
        substr(label, length(getvariable('experiment')) + 2) as arm,
        shown_at + to_microseconds((getvariable('window_days') * 86400000000)::bigint) as ends_at
    from shown
    where label is not null and shown_at >= getvariable('started_at')
),
watched as (
    select distinct of_arms.user_id, of_arms.item_id, of_arms.shown_at
    from event_rows as events
    asof join of_arms
        on events.user_id = of_arms.user_id
        and events.item_id = of_arms.item_id
        and events.event_at >= of_arms.shown_at
    where events.event_at < of_arms.ends_at
),
newest as (
    select max(event_at) as event_at from event_rows
)
select of_arms.*, watched.shown_at is not null as is_watched, ends_at > newest.event_at as is_recent
from of_arms
cross join newest
left join watched using (user_id, item_id, shown_at);

-- The exposures of an experiment whose propensity is known, at ranks for which a release has a film: the arm whose
-- list that is, whether it is the film that was shown, and whether with the same propensity. Attached: release. Table:
-- arm_exposures. Variables: experiment, as_of (of the release).
-- grain: user, item, shown_at
with
listed as (
    select
        user_id,
        rank,
        item_id,
        propensity,
        list_filter(
            string_split(experiment, '|'), lambda arm: starts_with(arm, getvariable('experiment') || '=')
        )[1] as label
    from release.recommendations
)
select
    shown.user_id,
    substr(label, length(getvariable('experiment')) + 2) as arm,
    shown.rank,
    shown.propensity,
    shown.is_watched,
    shown.item_id = listed.item_id as is_listed,
    is_listed and shown.propensity = listed.propensity as is_own
from arm_exposures as shown
join listed using (user_id, rank)
where
    label is not null
    and shown.propensity is not null
    and shown.shown_at >= getvariable('as_of')
    and not shown.is_recent
order by shown.user_id, shown.shown_at, shown.rank, shown.item_id;

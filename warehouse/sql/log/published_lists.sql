-- The lists that a release computed, as exposures. Attached: release. Variables: release_id, as_of of the release.
-- grain: user, rank
select
    user_id,
    item_id,
    getvariable('as_of')::timestamp as shown_at,
    rank::integer as rank,
    experiment,
    propensity,
    row_number() over (order by user_id, rank) as line
from (
    -- A release of an earlier version has no propensities.
    select null::double as propensity where false
    union all by name
    select * from release.recommendations
)
where release_id = getvariable('release_id')
order by user_id, rank;

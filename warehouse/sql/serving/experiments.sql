-- grain: experiment, arm; of the configuration of this release. The table releases has those of all before it.
-- Variable: release_id.
insert into experiments by name
with
arms as (
    select
        releases.release_id,
        releases.as_of,
        experiment.key as experiment,
        arm.key as arm,
        experiment.value ->> 'layer' as layer,
        (arm.value ->> 'fraction')::double as share,
        (arm.value -> 'overrides')::varchar as configuration
    from
        releases,
        json_each(releases.config, '$.experiments') as experiment,
        json_each(experiment.value, '$.arms') as arm
)
select experiment, arm, layer, share, configuration, min(as_of) as started_at
from arms
group by experiment, arm, layer, share, configuration
having bool_or(release_id = getvariable('release_id'))
order by experiment, arm;

-- grain: experiment, arm; the users whose list the arm made
with
arms as (
    select user_id, unnest(string_split(experiment, '|')) as label
    from recommendations
    where experiment is not null and rank = 1
)
select experiment, arm, layer, share as fraction, configuration, started_at, count(user_id) as users
from experiments
left join arms on label = experiment || '=' || arm
group by all
order by experiment, arm;

-- NDCG of the newest full release of a file on its holdout: of each channel, of the merged list, of the ranker beside
-- it and alone, which is the last point of the curve by blend weight. grain: stage, model, protocol, k
with
newest as (
    select release_id
    from releases
    where kind = 'full' and release_id in (select release_id from metrics)
    order by created_at desc
    limit 1
),
listed as (
    select stage, model, protocol, k, value, n_users
    from metrics
    semi join newest using (release_id)
    where slice = 'all' and metric = 'ndcg' and stage in ('recall', 'rank')
),
alone as (
    select model, max_by(y, x) as value
    from curves
    semi join newest using (release_id)
    where stage = 'rank' and curve like 'ndcg@% by blend weight'
    group by model
)
select * from listed
union all
select stage, model || ' alone', protocol, k, alone.value, n_users
from listed
join alone using (model)
where stage = 'rank'
order by stage, model;

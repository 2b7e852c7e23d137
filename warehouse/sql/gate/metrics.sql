-- NDCG of the newest full release of a file on its holdout: of each channel, of the merged list, of the ranker beside
-- it and alone, which is the last point of the curve by blend weight. grain: stage, model, protocol, k
-- error: the standard error, null in files of a version that did not measure it.
with
newest as (
    select release_id
    from releases
    where kind = 'full' and release_id in (select release_id from metrics)
    order by created_at desc
    limit 1
),
listed as (
    select
        stage,
        model,
        protocol,
        k,
        max(value) filter (metric = 'ndcg') as value,
        max(value) filter (metric = 'ndcg_error') as error,
        max(n_users) as n_users
    from metrics
    semi join newest using (release_id)
    where slice = 'all' and metric in ('ndcg', 'ndcg_error') and stage in ('recall', 'rank')
    group by stage, model, protocol, k
),
alone as (
    select
        model,
        max_by(y, x) filter (curve like 'ndcg@% by blend weight') as value,
        max_by(y, x) filter (curve like 'ndcg_error@%') as error
    from curves
    semi join newest using (release_id)
    where stage = 'rank'
    group by model
)
select * from listed
union all
select stage, model || ' alone', protocol, k, alone.value, alone.error, n_users
from listed
join alone using (model)
where stage = 'rank' and alone.value is not null
order by stage, model;

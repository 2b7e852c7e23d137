-- grain: user, rank; adds titles and the sentence that people read. Variables: recommended_files and
-- user_features_file of the run; carried_releases, top_n: lists that newer releases computed, which the
-- newest of them has.
insert into recommendations
with
newer as (
    select user_id, rank, item_id, score, channels, because_item_id, release_id
    from {newer}
    where list_contains(getvariable('carried_releases'), release_id)
),
carried as (
    select *
    from newer
    qualify max(rank) over (partition by user_id) = getvariable('top_n')
),
own as (
    select user_id, rank, item_id, score, channels, because_item_id, release_id
    from read_parquet(getvariable('recommended_files'))
),
chosen as (
    select * from carried
    union all
    select * from own anti join carried using (user_id)
),
rated as (
    select distinct user_id from read_parquet(getvariable('user_features_file')) where n_ratings > 0
)
select
    chosen.user_id,
    chosen.rank,
    chosen.item_id,
    items.title,
    chosen.score,
    chosen.channels,
    chosen.because_item_id,
    case
        when because.title is not null then 'Because you watched ' || because.title
        when rated.user_id is not null then 'Popular right now'
        when users.gender is not null then 'Popular with viewers like you'
        else 'Popular with everybody'
    end as reason,
    null as experiment,
    chosen.release_id
from chosen
join items using (item_id)
join users using (user_id)
left join rated using (user_id)
left join items as because on because.item_id = chosen.because_item_id
order by chosen.user_id, chosen.rank;

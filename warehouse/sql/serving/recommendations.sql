-- grain: user, rank; adds titles and the sentence that people read
with
chosen as (
    select * from read_parquet(getvariable('recommended_file'))
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

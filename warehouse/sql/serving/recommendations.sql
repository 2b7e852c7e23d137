-- grain: user, rank; adds titles and the sentence that people read: the first one that holds. Variables:
-- recommended_files of the run; carried_releases, top_n: lists that newer releases computed, which the newest of
-- them has.
insert into recommendations by name
with
newer as (
    -- One of an earlier version has fewer columns.
    select * exclude (title)
    from {newer}
    where list_contains(getvariable('carried_releases'), release_id)
),
carried as (
    -- Whole lists, of films that the run knows too.
    select *
    from newer
    semi join items using (item_id)
    qualify
        max(rank) over (partition by user_id) = getvariable('top_n')
        and count(*) over (partition by user_id) = getvariable('top_n')
),
own as (
    from read_parquet(getvariable('recommended_files'))
    anti join carried using (user_id)
),
log as (
    select coalesce(max(age_days), 0) as days
    from item_features
),
facts as (
    select
        own.*,
        because.title as because_title,
        list_filter(
            user_features.top_genres, lambda genre: list_contains(items.genres, genre)
        )[1] as liked_genre,
        in_segment.item_id is not null as is_popular_in_segment,
        in_all.item_id is not null as is_popular,
        -- A month before the sentence stops being true: features of films without new ratings are not made anew.
        -- In the first two months of a log every film is first rated.
        coalesce(item_features.age_days <= 60 and log.days - item_features.age_days >= 60, false) as is_new
    from own
    join items using (item_id)
    join users using (user_id)
    cross join log
    left join user_features using (user_id)
    left join item_features on item_features.item_id = own.item_id
    left join items as because on because.item_id = own.because_item_id
    left join default_recommendations as in_all on in_all.segment = 'all' and in_all.item_id = own.item_id
    left join default_recommendations as in_segment
        on in_segment.item_id = own.item_id
        and in_segment.segment = 'gender=' || users.gender || coalesce('|age=' || users.age, '')
),
reasoned as (
    select
        user_id,
        rank,
        item_id,
        score,
        channels,
        because_item_id,
        case
            when because_title is not null and because_liked then 'Because you liked ' || because_title
            when because_title is not null then 'Because you watched ' || because_title
            when is_new then 'New: first rated within three months'
            when liked_genre is not null then 'You watch more ' || liked_genre || ' than others do'
            when is_popular_in_segment then 'Popular with viewers like you'
            when is_popular then 'Popular with everybody'
            when len(channels) > 0 then 'Found by ' || array_to_string(channels[1:2], ' and ')
            else 'To fill up your list'
        end as reason,
        experiment,
        propensity,
        release_id
    from facts
),
chosen as (
    select * from carried
    union all by name
    select * from reasoned
)
select
    chosen.user_id,
    chosen.rank,
    chosen.item_id,
    items.title,
    chosen.score,
    chosen.channels,
    chosen.because_item_id,
    chosen.reason,
    chosen.experiment,
    coalesce(chosen.propensity, 1) as propensity,
    chosen.release_id
from chosen
join items using (item_id)
join users using (user_id)
order by chosen.user_id, chosen.rank;

-- grain: user; key: user_id. Users of the log whom no users file names have null demographics.
with
named as (
    select user_id, gender, age, occupation, zip
    from catalog_users
),
unnamed as (
    select distinct user_id
    from read_parquet(getvariable('files'))
    where user_id not in (select user_id from named)
)
select user_id, gender, age, occupation, zip from named
union all
select user_id, null, null, null, null from unnamed
order by user_id;

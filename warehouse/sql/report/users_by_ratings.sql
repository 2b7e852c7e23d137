-- grain: band of users by their number of ratings; how far their first pages are their own
with
bands as (
    select
        user_id,
        case
            when n_ratings = 0 then 0 when n_ratings < 5 then 1 when n_ratings < 20 then 5 when n_ratings < 200 then 20
            else 200
        end as least
    from user_features
),
popular as (select item_id from default_recommendations where segment = 'all' and rank <= 10),
places as (
    select
        least,
        user_id,
        item_id,
        because_item_id is not null as is_explained,
        item_id in (from popular) as is_popular
    from recommendations
    join bands using (user_id)
    where rank <= 10
)
select
    least,
    count(distinct user_id) as users,
    count(distinct item_id) as films,
    avg(is_explained::integer) as explained,
    avg(is_popular::integer) as popular
from places
group by least
order by least;

-- one row: how much of the catalogue the first ten films of all users reach, and how old the rows are
select
    (select count(*) from users) as users,
    (select count(*) from items) as items,
    (select count(distinct item_id) from recommendations where rank <= 10) as items_listed,
    (select count(distinct user_id) from recommendations where release_id = $release_id) as users_refreshed,
    (select count(distinct user_id) from recommendations where because_item_id is not null) as users_explained;

-- What people ask most, as functions of a table: from recommend(42, 10). "similar" is a word of SQL, so it is quoted.
create or replace macro recommend(for_user, n) as table
    select rank, item_id, recommendations.title, items.year, items.genres, score, reason
    from recommendations
    join items using (item_id)
    where user_id = for_user and rank <= n
    order by rank;

create or replace macro "similar"(to_item, by_channel, n) as table
    select rank, neighbour_id as item_id, items.title, items.year, items.genres, score
    from item_similarity
    join items on items.item_id = neighbour_id
    where item_similarity.item_id = to_item and channel = by_channel and rank <= n
    order by rank;

create or replace macro because(for_user, of_item) as table
    select rank, recommendations.title, reason, because_item_id, items.title as because_title, channels
    from recommendations
    left join items on items.item_id = because_item_id
    where user_id = for_user and recommendations.item_id = of_item;

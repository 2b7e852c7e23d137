-- grain: item, the most rated first; films whose title is made of the words of $text alone, in any order, articles and
-- its year aside ("the sixth sense" is "Sixth Sense, The (1999)"); without any, those whose title has all of them
with
query as (
    select list_distinct(regexp_extract_all(lower(strip_accents(replace($text, '''', ''))), '[\pL\pN]+')) as words
),
titles as (
    select
        item_id,
        title,
        year,
        genres,
        n_ratings,
        regexp_extract_all(lower(strip_accents(replace(title, '''', ''))), '[\pL\pN]+') as title_words
    from items
    join item_features using (item_id)
),
matching as (
    select
        titles.*,
        list_has_all(
            words, list_filter(title_words, lambda word: word not in ('the', 'a', 'an', year::varchar))
        ) as is_whole
    from titles, query
    where
        len(words) > 0
        and len(list_filter(words, lambda word: not contains(array_to_string(title_words, ' '), word))) = 0
)
select item_id, title, year, genres
from matching
qualify is_whole = bool_or(is_whole) over ()
order by n_ratings desc, item_id;

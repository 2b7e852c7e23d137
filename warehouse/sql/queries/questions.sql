-- grain: rank; the films to ask newcomers about, the most telling first
select rank, item_id, title, year, genres, explained
from questions
join items using (item_id)
order by rank
limit $n;

-- grain: segment, rank
insert into default_recommendations
select segment, rank, item_id, items.title, score
from read_parquet(getvariable('segments_file'))
join items using (item_id)
order by segment, rank;

insert into items by name
select item_id, title, year, genres
from read_parquet(getvariable('items_file'));

insert into items by name
from read_parquet(getvariable('items_file'));

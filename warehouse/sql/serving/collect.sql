-- The run's rows of one table. Variable: files.
insert into {table} by name
from read_parquet(getvariable('files'));

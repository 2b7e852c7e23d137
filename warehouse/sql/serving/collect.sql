-- The run's rows of one table. Variable: files; a file may lack columns that may be null.
insert into {table} by name
from read_parquet(getvariable('files'), union_by_name := true);

-- The comment of a table (column is null) and of its columns.
select null as "column", comment
from duckdb_tables()
where table_name = $table and comment is not null
union all
select column_name, comment
from duckdb_columns()
where table_name = $table and comment is not null

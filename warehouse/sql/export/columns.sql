select column_name::text
from information_schema.columns
where table_schema = $1 and table_name = $2
order by ordinal_position

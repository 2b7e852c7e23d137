-- The rows of the table as the journal has them: times as text in ISO 8601.
select * replace (strftime(as_of, '%Y-%m-%dT%H:%M:%S.%f') as as_of, strftime(created_at, '%Y-%m-%dT%H:%M:%S.%f') as created_at)
from releases
order by created_at;

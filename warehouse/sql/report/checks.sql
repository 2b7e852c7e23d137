-- grain: check, those that fail first
select "table", "check", passed, value, "limit", blocking, message
from checks
where release_id = $release_id
order by passed, blocking desc, "table", "check";

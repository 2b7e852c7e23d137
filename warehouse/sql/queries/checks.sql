select "table", "check", passed, value, "limit", blocking, message
from checks
where release_id = $release_id
order by rowid;

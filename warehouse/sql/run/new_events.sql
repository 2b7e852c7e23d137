-- one row: how many events of the log an earlier run did not see: later ones, and those of later batches.
-- Variables: seen_before (its as_of), seen_batches (sequence numbers of its event files).
select count(*)
from events
where event_at >= getvariable('seen_before') or not list_contains(getvariable('seen_batches'), batch);

-- one row: the first and the last event of the log. Variable: files (the event files).
select min(event_at), max(event_at) from read_parquet(getvariable('files'));

-- The features of all users or items: of those of the frame `refreshed` its own, of all others those of an earlier
-- run. Variable: carried_file (its table).
select * from refreshed
union all by name
select * from read_parquet(getvariable('carried_file')) anti join refreshed using ({side}_id)
order by {side}_id

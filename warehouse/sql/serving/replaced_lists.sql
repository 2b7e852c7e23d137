-- Remove from a copy of the parent's release the lists that a run has computed anew.
-- Variable: recommended_files of the run.
delete from recommendations
where user_id in (select user_id from read_parquet(getvariable('recommended_files')));

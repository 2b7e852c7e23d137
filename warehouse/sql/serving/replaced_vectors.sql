-- Remove from a copy of the parent's release the vectors of users that a run has computed anew.
-- Variable: files (its table user_embeddings).
delete from user_embeddings
where (model, user_id) in (select (model, user_id) from read_parquet(getvariable('files')));

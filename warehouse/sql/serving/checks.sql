-- The checks of a release. Variable: release_id. Table: new_checks.
insert into checks by name
select getvariable('release_id') as release_id, * from new_checks;

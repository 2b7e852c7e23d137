-- every row names a release that the releases table knows
select release_id from (select distinct release_id from recommendations)
anti join releases using (release_id)

-- The first ranks of the lists of a release. grain: user, rank
-- Variables: first (ranks), computed_by (the release that computed the rows, null for all).
select user_id, rank, item_id, reason = 'To fill up your list' as is_filler, n_ratings
from recommendations
join user_features using (user_id)
where rank <= getvariable('first') and (getvariable('computed_by') is null or release_id = getvariable('computed_by'))
order by user_id, rank;

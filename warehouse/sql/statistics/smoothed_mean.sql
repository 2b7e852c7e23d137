-- the mean of all ratings counts as much as {prior} of them
(coalesce(sum(rating){window}, 0) + {prior} * any_value(overall.mean)) / (count(rating){window} + {prior})

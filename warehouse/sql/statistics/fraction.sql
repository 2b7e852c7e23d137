count(rating){window} / greatest(any_value(overall.n_users), 1)

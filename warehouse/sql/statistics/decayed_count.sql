coalesce(sum(power(0.5, age_days / {half_life_days})), 0)

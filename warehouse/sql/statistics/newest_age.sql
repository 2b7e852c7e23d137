min(age_days){window}

max(age_days){window}

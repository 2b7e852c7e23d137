count(distinct event_at::date){window}

"""Work that is cut into shards: functions of a run and a number, done here or by workers without Prefect."""

select step, inputs, outputs, rows, seconds, peak_memory_mb from lineage where release_id = $release_id order by rowid;

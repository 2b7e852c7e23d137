-- one row: rows, users and items of the staged event file. Reads the view staged.
select count(*), count(distinct user_id), count(distinct item_id) from staged;

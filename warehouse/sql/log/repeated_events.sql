-- Rows of the staged event file that repeat an event: one of the log, or an earlier row of the file itself.
-- Reads the views staged (with file_row_number) and events. Grain: row (0-based in the staged file).
with logged as (
    select staged.file_row_number
    from staged
    semi join events using (user_id, item_id, event_at)
),

firsts as (
    select user_id, item_id, event_at, min(file_row_number) as first_row
    from staged
    group by user_id, item_id, event_at
    having count(*) > 1
),

repeated as (
    select staged.file_row_number
    from staged
    inner join firsts using (user_id, item_id, event_at)
    where staged.file_row_number > firsts.first_row
)

select file_row_number from logged
union
select file_row_number from repeated
order by file_row_number;

-- Rows of the staged file of a log that repeat a row of it: one that is logged, or an earlier one of the file itself.
-- Reads the views staged (with file_row_number) and logged_rows; {time} is the column of the time. Grain: row
-- (0-based in the staged file).
with logged as (
    select staged.file_row_number
    from staged
    semi join logged_rows using (user_id, item_id, {time})
),

firsts as (
    select user_id, item_id, {time}, min(file_row_number) as first_row
    from staged
    group by user_id, item_id, {time}
    having count(*) > 1
),

repeated as (
    select staged.file_row_number
    from staged
    inner join firsts using (user_id, item_id, {time})
    where staged.file_row_number > firsts.first_row
)

select file_row_number from logged
union
select file_row_number from repeated
order by file_row_number;

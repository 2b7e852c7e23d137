select item_id, title, year, genres from items order by item_id;

select item_id, title, year, genres from items where item_id = $item_id;

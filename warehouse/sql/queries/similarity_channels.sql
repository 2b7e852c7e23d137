select distinct channel from item_similarity order by channel;

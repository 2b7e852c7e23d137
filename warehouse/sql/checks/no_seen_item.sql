select user_id, item_id from recommendations semi join events using (user_id, item_id)

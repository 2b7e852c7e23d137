select users.user_id, gender, age, n_ratings, rating_mean, top_genres, first_event_at, last_event_at
from users
join user_features using (user_id)
where users.user_id = $user_id;

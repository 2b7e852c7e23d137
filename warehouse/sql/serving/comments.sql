-- What columns mean whose name alone does not say so completely; schema.sql has the others.
comment on column recommendations.user_id is 'id of the user in the source';
comment on column recommendations.rank is 'place in the list, from 1, the best';
comment on column recommendations.item_id is 'id of the film in the source';
comment on column recommendations.title is 'title of the film, with the year';
comment on column recommendations.score is 'what the list is sorted by; not comparable between releases';

comment on column default_recommendations.segment is 'all, or attributes of users: gender=F, gender=F|age=25';
comment on column default_recommendations.rank is 'place in the list, from 1, the best';
comment on column default_recommendations.item_id is 'id of the film in the source';
comment on column default_recommendations.title is 'title of the film, with the year';
comment on column default_recommendations.score is 'what the list is sorted by; not comparable between segments or releases';

comment on column items.item_id is 'id of the film in the source';
comment on column items.title is 'as the source has it, with the year';
comment on column items.year is 'year in which it came out, null where the title has none';
comment on column items.genres is 'genres of the source, in its order';

comment on column users.user_id is 'id of the user in the source';
comment on column users.gender is 'F or M';
comment on column users.age is 'code of the source: of MovieLens 1M the lower bound of a range';
comment on column users.occupation is 'code of the source, see docs/query.md';
comment on column users.zip is 'postal code as the source has it';

comment on column item_similarity.channel is 'the recall channel whose similarity it is';
comment on column item_similarity.item_id is 'id of the film';
comment on column item_similarity.neighbour_id is 'id of the film that is near';
comment on column item_similarity.rank is '1 is the nearest';
comment on column item_similarity.score is 'similarity by the channel; not comparable between channels';

comment on column item_communities.item_id is 'id of the film';

comment on table item_embeddings is 'Vectors of films, by the channels that have them.';
comment on column item_embeddings.model is 'the recall channel whose vectors they are';
comment on column item_embeddings.item_id is 'id of the film';
comment on column item_embeddings.vector is 'comparable with the vectors of the same model alone';

comment on table user_embeddings is 'Vectors of users, by the channels that have them.';
comment on column user_embeddings.model is 'the recall channel whose vectors they are';
comment on column user_embeddings.user_id is 'id of the user';
comment on column user_embeddings.vector is 'its product with the vector of a film is the score of the model';

comment on table releases is 'Every release that was ever published, with all that decided it.';
comment on column releases.release_id is 'id, which sorts by time';
comment on column releases.created_at is 'when it was begun, UTC';
comment on column releases.n_events is 'ratings that count: the newest of each user and film';
comment on column releases.code_version is 'version of the code, with the commit';
comment on column releases.source is 'name of the data set';
comment on column releases.schema_version is 'raised when a table changes its columns';

comment on column experiments.experiment is 'name of the experiment';
comment on column experiments.arm is 'name of the treatment arm';
comment on column experiments.layer is 'experiments of one layer exclude each other''s users';

comment on table metrics is 'What runs measured, a number a row; by full releases, and taken over by those of an hour.';
comment on column metrics.release_id is 'the release that measured it';
comment on column metrics.stage is 'recall, merge, rank, update, exposures: what was measured';
comment on column metrics.model is 'channel or ranker';
comment on column metrics.protocol is 'how it was measured';
comment on column metrics.slice is 'for whom: all, or a part of users or films';
comment on column metrics.metric is 'name of the metric';
comment on column metrics.k is 'length of the lists, null where there are none';
comment on column metrics.value is 'the number';
comment on column metrics.n_users is 'users that it is a mean over';

comment on column curves.release_id is 'the release that measured it';
comment on column curves.model is 'channel or ranker';
comment on column curves.y is 'the value at x';

comment on column checks.release_id is 'the release that was checked';
comment on column checks."table" is 'what the check is about: a table, the log (events), the models';
comment on column checks."check" is 'name of the check';
comment on column checks.passed is 'true if it passed';
comment on column checks."limit" is 'what the value may be at most, or at least';
comment on column checks.message is 'the result in a sentence';

comment on table lineage is 'The steps of the run that made this release, in order: what they read, wrote and cost.';
comment on column lineage.release_id is 'the release of the run';
comment on column lineage.step is 'name of the step';
comment on column lineage.inputs is 'tables that it read';
comment on column lineage.outputs is 'tables that it wrote';
comment on column lineage.rows is 'rows written';
comment on column lineage.seconds is 'wall time';

-- grain: user; key: user_id. The columns are those of features.toml.
create table user_features as
from read_parquet(getvariable('user_features_file'));

comment on table user_features is 'As of the newest release with new ratings of the user, at most since the last full one.';

-- grain: item; key: item_id. The columns are those of features.toml.
create table item_features as
from read_parquet(getvariable('item_features_file'));

comment on table item_features is 'As of the newest release with new ratings of the film, at most since the last full one.';

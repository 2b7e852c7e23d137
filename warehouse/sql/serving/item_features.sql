-- grain: item; key: item_id. The columns are those of features.toml.
create table item_features as
from read_parquet(getvariable('item_features_file'));

-- grain: user; key: user_id. The columns are those of features.toml.
create table user_features as
from read_parquet(getvariable('user_features_file'));

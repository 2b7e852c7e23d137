insert into users by name
from read_parquet(getvariable('users_file'));

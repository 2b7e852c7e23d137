select * from releases where release_id = $release_id;

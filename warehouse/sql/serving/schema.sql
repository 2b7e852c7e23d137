-- The tables that consumers query, one release a file. Every table exists from the first release.
-- Tables of many rows have no primary key: the check key_is_unique finds what is double four times as fast as an
-- index does, in a file of a quarter of the size. Rows in the order of the key answer for one key as fast.

-- grain: user, rank
create table if not exists recommendations (
    user_id bigint not null,
    rank bigint not null,
    item_id bigint not null,
    title varchar not null,
    score double not null,
    channels varchar[] not null,
    because_item_id bigint,
    reason varchar not null,
    experiment varchar,
    propensity double not null,
    release_id varchar not null
);
-- Releases of before have none.
alter table recommendations add column if not exists propensity double default 1;
comment on table recommendations is 'The films for each user, best first. rank is authoritative; no film the user rated.';
comment on column recommendations.channels is 'who recalled the film: those that matter, the strongest first, at most 5';
comment on column recommendations.because_item_id is 'the watched film that best explains it, a liked one if there is any, null if none';
comment on column recommendations.reason is 'a sentence that holds for the film and the user';
comment on column recommendations.experiment is 'treatment arms whose settings made the row, NAME=ARM, several with | between, null if none';
comment on column recommendations.propensity is 'probability with which the film was put at its rank, 1 but where lists are explored';
comment on column recommendations.release_id is 'the release that computed the row';

-- grain: segment, rank
create table if not exists default_recommendations (
    segment varchar not null,
    rank bigint not null,
    item_id bigint not null,
    title varchar not null,
    score double not null,
    primary key (segment, rank)
);
comment on table default_recommendations is 'For users nobody knows: segments all, gender=F, gender=F|age=25.';

-- grain: item
create table if not exists items (
    item_id bigint primary key,
    title varchar not null,
    year integer,
    genres varchar[] not null
);
comment on table items is 'The films of the source.';

-- grain: user
create table if not exists users (
    user_id bigint primary key,
    gender varchar,
    age integer,
    occupation integer,
    zip varchar
);
comment on table users is 'The users of the source; demographics are null where no users file names them.';

-- grain: channel, item, neighbour
create table if not exists item_similarity (
    channel varchar not null,
    item_id bigint not null,
    neighbour_id bigint not null,
    rank bigint not null,
    score double not null
);
comment on table item_similarity is 'The nearest films of each film, by channel; rank 1 is the nearest.';

-- grain: item
create table if not exists item_communities (
    item_id bigint not null,
    community bigint,
    centrality double not null
);
comment on table item_communities is 'Films that are alike, by the graph of their similarities in the newest full release.';
comment on column item_communities.community is 'number of the community, from 1 for the largest, null if no film is near';
comment on column item_communities.centrality is 'PageRank: the fraction of a random walk over the graph, 0 if no film is near';

-- grain: rank
create table if not exists questions (
    rank bigint not null,
    item_id bigint not null,
    explained double not null
);
comment on table questions is 'Films to ask newcomers about: those whose answers say most about what else they like.';
comment on column questions.rank is 'order in which the films are best asked about, from 1';
comment on column questions.item_id is 'id of the film in the source';
comment on column questions.explained is 'fraction of the variance of all answers that the answers up to this rank explain';

-- grain: model, item
create table if not exists item_embeddings (
    model varchar not null,
    item_id bigint not null,
    vector float[] not null
);

-- grain: model, user
create table if not exists user_embeddings (
    model varchar not null,
    user_id bigint not null,
    vector float[] not null
);

-- grain: release
create table if not exists releases (
    release_id varchar primary key,
    kind varchar not null,
    parent_id varchar,
    as_of timestamp not null,
    created_at timestamp not null,
    n_events bigint not null,
    config varchar not null,
    code_version varchar not null,
    source varchar not null,
    schema_version integer not null
);
comment on column releases.kind is 'full or incremental';
comment on column releases.parent_id is 'the release it was computed from, null if from scratch';
comment on column releases.as_of is 'exclusive, UTC: all events before it are in, none after';
comment on column releases.config is 'JSON: everything that decides the result';

-- grain: experiment, arm
create table if not exists experiments (
    experiment varchar not null,
    arm varchar not null,
    layer varchar not null,
    share double not null,
    configuration varchar not null,
    started_at timestamp not null,
    primary key (experiment, arm)
);
comment on table experiments is 'The treatment arms of this release; each user is in one arm of each layer at most.';
comment on column experiments.share is 'fraction of all users in the arm';
comment on column experiments.configuration is 'JSON: settings that differ for the arm, {} for the control';
comment on column experiments.started_at is 'as_of of the first release with the arm as it is now, UTC';

-- grain: release, stage, model, protocol, slice, metric, k
create table if not exists metrics (
    release_id varchar not null,
    stage varchar not null,
    model varchar not null,
    protocol varchar not null,
    slice varchar not null,
    metric varchar not null,
    k integer,
    value double not null,
    n_users bigint not null
);

-- grain: release, stage, model, curve, x
create table if not exists curves (
    release_id varchar not null,
    stage varchar not null,
    model varchar not null,
    curve varchar not null,
    x double not null,
    y double not null
);
comment on table curves is 'What has no single value: training curves by epoch, reliability, trade-offs.';
comment on column curves.stage is 'the stage that measured it, as in metrics';
comment on column curves.curve is 'what is drawn, e.g. loss, ndcg, reliability';
comment on column curves.x is 'e.g. the epoch (from 1), the predicted probability, a blend weight';

-- grain: release, check
create table if not exists checks (
    release_id varchar not null,
    "table" varchar not null,
    "check" varchar not null,
    passed boolean not null,
    value double,
    "limit" double,
    blocking boolean not null,
    message varchar not null
);
comment on table checks is 'Every check of a release before it was published, also those that passed.';
comment on column checks.value is 'what was measured, null where the rule is about rows';
comment on column checks.blocking is 'true if a release that fails it is held, false for a warning';

-- grain: release, step
create table if not exists lineage (
    release_id varchar not null,
    step varchar not null,
    inputs varchar[] not null,
    outputs varchar[] not null,
    rows bigint not null,
    seconds double not null,
    peak_memory_mb double not null,
    cpu_seconds double,
    shards integer,
    workers integer,
    primary key (release_id, step)
);
comment on column lineage.peak_memory_mb is 'MiB, resident, of the whole process tree while the step ran';
comment on column lineage.cpu_seconds is 'of all processes and threads of the step, null where it was not measured';
comment on column lineage.shards is 'parts that the step was cut into, null where it is not cut';
comment on column lineage.workers is 'processes that computed the parts, null where it is not cut';

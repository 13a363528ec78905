-- How often a key may call, and requests that are answered the same when they are sent again.
-- Lock risk: `applications` is locked for a moment; the other tables are new.

-- Requests a minute, in place of the installation's own number; 0 is as many as it likes.
alter table applications add column rate_limit integer;
alter table applications add constraint applications_rate_limit_not_negative check (rate_limit >= 0);

-- What was taken of each quota in its present window, by all processes together. It is not logged:
-- nothing waits for the disk, and after a crash of the database every quota begins anew.
create unlogged table rate_windows (
    application_id uuid not null,
    environment environment not null,
    bucket text collate "C" not null,
    -- A key pair, or one session of the hosted page.
    subject uuid not null,
    ends_at timestamptz not null,
    quota integer not null,
    taken integer not null,
    constraint rate_windows_pkey primary key (application_id, environment, bucket, subject)
) with (fillfactor = 50);

-- Requests that carried an Idempotency-Key. `operation_id` is drawn before the request is carried out
-- and what it makes is made under it, so that it can be found when the answer was never recorded.
-- `attempt` counts who carries it out; only the last may, and only until it is answered.
create table idempotency_keys (
    application_id uuid not null,
    environment environment not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    operation_id uuid not null,
    attempt integer not null,
    held_until timestamptz not null,
    created_at timestamptz not null,
    status smallint,
    body bytea,
    constraint idempotency_keys_pkey primary key (application_id, environment, key),
    constraint idempotency_keys_answer_whole check ((status is null) = (body is null)),
    constraint idempotency_keys_answer_final check (status between 200 and 499)
) with (fillfactor = 70);

create index idempotency_keys_created_at_idx on idempotency_keys (created_at);

insert into program_rights (privilege, object)
select privilege, name
from unnest(array['insert', 'update', 'delete']) as privilege,
    unnest(array['rate_windows', 'idempotency_keys']) as name;

-- See 0006: before there are rows, the planner is told what the columns of the keys are like.
select
    pg_restore_attribute_stats(
        'schemaname', current_schema()::text,
        'relname', relation,
        'attname', attribute,
        'inherited', false,
        'null_frac', 0::real,
        'avg_width', 16,
        'n_distinct', n_distinct::real
    )
from (
    values
        ('rate_windows', 'application_id', 1), ('rate_windows', 'environment', 1),
        ('rate_windows', 'bucket', 1), ('rate_windows', 'subject', -1),
        ('idempotency_keys', 'application_id', 1), ('idempotency_keys', 'environment', 1),
        ('idempotency_keys', 'key', -1), ('idempotency_keys', 'created_at', -1)
) as expected (relation, attribute, n_distinct);

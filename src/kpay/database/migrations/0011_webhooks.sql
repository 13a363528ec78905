-- Webhooks: where a merchant hears its events, and each event on its way there. A delivery is written in
-- the transaction that records the event (promise 9).
-- Lock risk: a trigger is added to `events`, which waits for the transactions that are writing there.

-- Where an application hears what happens, in one environment: one URL for everything and one for each
-- kind of operation. How it fares stands beside it, and is written only while something is wrong.
create table webhook_endpoints (
    application_id uuid not null,
    environment environment not null,
    topic text collate "C" not null,
    url text not null,
    -- What has been recorded since then is sent here.
    created_at timestamptz not null,
    changed_at timestamptz not null,
    -- Attempts in a row that failed.
    failures integer not null default 0,
    -- While it is paused everything waits, but for one delivery at each `probe_at`.
    paused_since timestamptz,
    pause_reason text,
    probes integer not null default 0,
    probe_at timestamptz,
    constraint webhook_endpoints_pkey primary key (application_id, environment, topic),
    constraint webhook_endpoints_application_id_fkey
        foreign key (application_id) references applications (id),
    constraint webhook_endpoints_topic_known
        check (topic in ('generic', 'payments', 'payouts', 'refunds')),
    constraint webhook_endpoints_pause_whole check (
        (paused_since is null) = (pause_reason is null)
        and (paused_since is null) = (probe_at is null)
    )
);

-- Which of the derived secrets signs. No row is the first; the one before signs too until a moment.
create table webhook_secrets (
    application_id uuid not null,
    environment environment not null,
    version integer not null,
    rotated_at timestamptz not null,
    previous_until timestamptz not null,
    constraint webhook_secrets_pkey primary key (application_id, environment),
    constraint webhook_secrets_application_id_fkey
        foreign key (application_id) references applications (id),
    constraint webhook_secrets_version_later check (version > 1)
);

-- An event on its way to the endpoint that is to hear it; it has the event's id. A test has none.
create table deliveries (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    topic text collate "C" not null,
    type text collate "C" not null,
    operation_id uuid not null,
    -- What events are told in order of: the operation, and for a refund the payment that it is of.
    resource_id uuid not null,
    status text collate "C" not null default 'PENDING',
    -- When to send it next (promise 10). Null once it is settled.
    due_at timestamptz,
    -- How often it was sent, and how often since it was last asked for, at `asked_at`.
    attempts integer not null default 0,
    tries integer not null default 0,
    asked_at timestamptz not null,
    created_at timestamptz not null,
    settled_at timestamptz,
    response_status integer,
    error text,
    duration_ms integer,
    constraint deliveries_pkey primary key (application_id, environment, id),
    constraint deliveries_status_known
        check (status in ('PENDING', 'DELIVERED', 'FAILED', 'CANCELLED')),
    constraint deliveries_due_until_settled check (
        (due_at is null) = (settled_at is not null) and (due_at is null) = (status <> 'PENDING')
    )
);

-- One step in it leads from an endpoint that has something waiting to the next one, however much each
-- of them has.
create index deliveries_due_idx on deliveries (application_id, environment, topic, due_at)
    where due_at is not null;
create index deliveries_resource_idx on deliveries (application_id, environment, resource_id)
    where due_at is not null;

-- What was sent and what came back. The intent of an attempt is the delivery's own count, committed
-- before the call: a number without a row is an attempt whose outcome nobody lived to record.
create table webhook_attempts (
    application_id uuid not null,
    environment environment not null,
    delivery_id uuid not null,
    number integer not null,
    url text not null,
    headers text not null,
    body text not null,
    sent_at timestamptz not null,
    response_status integer,
    response_body text,
    error text,
    duration_ms integer not null,
    constraint webhook_attempts_pkey primary key (application_id, environment, delivery_id, number)
);

-- They are kept for some weeks: this is how the oldest are found.
create index webhook_attempts_sent_idx on webhook_attempts (sent_at);

-- The columns of one outcome of a batch, and of how an endpoint fared in it.
create type webhook_outcome as (
    application_id uuid,
    environment environment,
    id uuid,
    number integer,
    -- What `due_at` was while the claim was held: whatever changed since wins.
    held_until timestamptz,
    status text,
    due_at timestamptz,
    at timestamptz,
    url text,
    headers text,
    body text,
    sent_at timestamptz,
    response_status integer,
    response_body text,
    error text,
    duration_ms integer
);
create type webhook_health as (
    application_id uuid,
    environment environment,
    topic text,
    url text,
    answered boolean,
    failures integer,
    reason text,
    probed boolean,
    probe_at timestamptz
);

-- What an event is told in order with. A noun whose operation belongs to another's replaces this.
create function webhook_resource(
    application_id uuid, environment environment, type text, operation_id uuid
) returns uuid language sql immutable return operation_id;

-- One statement for a batch of events, and next to nothing for applications without an endpoint: the
-- specific one hears it, else the generic one, else nobody. Nobody is woken: a notification takes a
-- lock of the whole server when it commits, and the worker looks five times a second anyway.
create function deliver_events() returns trigger language plpgsql as $$
begin
    insert into deliveries (
        application_id, environment, id, topic, type, operation_id, resource_id, due_at, asked_at,
        created_at
    )
    select
        told.application_id, told.environment, told.id, endpoint.topic, told.type,
        told.operation_id,
        webhook_resource(told.application_id, told.environment, told.type, told.operation_id),
        told.at, told.at, told.at
    from told
    cross join lateral (
        select topic
        from webhook_endpoints
        where webhook_endpoints.application_id = told.application_id
            and webhook_endpoints.environment = told.environment
            and topic in (split_part(told.type, '.', 1) || 's', 'generic')
        order by topic = 'generic'
        limit 1
    ) as endpoint;
    return null;
end
$$;

create trigger events_delivered after insert on events
    referencing new table as told
    for each statement execute function deliver_events();

insert into program_rights (privilege, object)
select 'insert', name
from unnest(array[
    'webhook_endpoints', 'webhook_secrets', 'deliveries', 'webhook_attempts'
]) as name
union all
select 'update', name
from unnest(array['webhook_endpoints', 'webhook_secrets', 'deliveries']) as name
union all
select 'delete', name
from unnest(array['webhook_endpoints', 'webhook_attempts']) as name;

-- See 0006: before there are rows, the planner is told what the columns of the keys are like. Of what
-- is kept, little waits; of what waits, most is of few endpoints.
select
    pg_restore_attribute_stats(
        'schemaname', current_schema()::text,
        'relname', relation,
        'attname', attribute,
        'inherited', false,
        'null_frac', null_frac::real,
        'avg_width', 16,
        'n_distinct', n_distinct::real
    )
from (
    values
        ('webhook_endpoints', 'application_id', 0, -0.5), ('webhook_endpoints', 'environment', 0, 2),
        ('webhook_endpoints', 'topic', 0, 4),
        ('deliveries', 'application_id', 0, 1), ('deliveries', 'environment', 0, 1),
        ('deliveries', 'id', 0, -1), ('deliveries', 'topic', 0, 1),
        ('deliveries', 'resource_id', 0, -1), ('deliveries', 'due_at', 0.9, -0.1),
        ('webhook_attempts', 'application_id', 0, 1), ('webhook_attempts', 'environment', 0, 1),
        ('webhook_attempts', 'delivery_id', 0, -0.8), ('webhook_attempts', 'number', 0, 25),
        ('webhook_attempts', 'sent_at', 0, -1)
) as expected (relation, attribute, null_frac, n_distinct);

-- What merchants must hear about, written in the transaction that caused it (promise 9).
-- Lock risk: none, the table is new.

create table events (
    application_id uuid not null,
    environment environment not null,
    id uuid not null default uuidv7(),
    type text collate "C" not null,
    operation_id uuid not null,
    at timestamptz not null,
    constraint events_pkey primary key (application_id, environment, id),
    -- An operation ends once, so its end is told once.
    constraint events_operation_key unique (application_id, environment, operation_id),
    constraint events_type_known check (
        split_part(type, '.', 1) in ('payment', 'payout')
        and split_part(type, '.', 2) in ('completed', 'failed', 'cancelled')
    )
);

create trigger events_insert_only before update or delete or truncate on events
    for each statement execute function refuse_change();

-- See 0006: before there are rows, the planner is told what the columns of the keys are like.
select
    pg_restore_attribute_stats(
        'schemaname', current_schema()::text,
        'relname', 'events',
        'attname', attribute,
        'inherited', false,
        'null_frac', 0::real,
        'avg_width', 16,
        'n_distinct', n_distinct::real
    )
from (
    values ('application_id', 1), ('environment', 1), ('id', -1), ('operation_id', -1)
) as expected (attribute, n_distinct);

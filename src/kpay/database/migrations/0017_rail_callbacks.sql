-- Several rails at once: an instruction knows which one has it, each rail's callbacks are kept as they
-- came, and the terms on which a rail works are known to every process.
-- Lock risk: instructions is locked while it is read once for its new index and its open rows are
-- written; the two tables are new.

-- The connector that an instruction was first handed to. It is asked about there and nowhere else, even
-- when its provider is served by another rail since: that one would say that it has never seen it, and
-- what the first has paid would be paid again. Null before, and of what ended before there was a choice.
alter table instructions add column connector text collate "C";

update instructions
set connector = first.connector
from attempts as first
where first.application_id = instructions.application_id
    and first.environment = instructions.environment
    and first.instruction_id = instructions.id
    and first.number = 1
    and instructions.status = 'PROCESSING';

-- A callback names nothing but the reference. What has ended is no business of callbacks.
create index instructions_reference_idx on instructions (reference) where due_at is not null;

-- What rails called back with, once each, exactly as it came. Which merchant's it is, is not known
-- before it is kept.
create table rail_callbacks (
    environment environment not null,
    connector text collate "C" not null,
    digest bytea not null,
    reference uuid not null,
    headers jsonb not null,
    body bytea not null,
    received_at timestamptz not null,
    constraint rail_callbacks_pkey primary key (environment, connector, digest)
);

create index rail_callbacks_reference_idx on rail_callbacks (reference);
create index rail_callbacks_received_idx on rail_callbacks (received_at);

-- On which terms a rail carries out an operation of a provider for our account, as it last told.
create table rail_conditions (
    environment environment not null,
    connector text collate "C" not null,
    provider text collate "C" not null,
    operation text collate "C" not null,
    currency text collate "C" not null,
    status text collate "C" not null,
    decimals integer,
    least bigint,
    most bigint,
    told_at timestamptz not null,
    constraint rail_conditions_pkey
        primary key (environment, connector, provider, operation, currency),
    constraint rail_conditions_status_known check (status in ('OPERATIONAL', 'DELAYED', 'CLOSED')),
    constraint rail_conditions_limits_whole check (num_nulls(least, most) in (0, 2))
);

insert into program_rights (privilege, object) values
    ('insert', 'rail_callbacks'), ('delete', 'rail_callbacks'),
    ('insert', 'rail_conditions'), ('delete', 'rail_conditions');

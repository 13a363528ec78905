-- Reconciliation: the statements of rails are kept line by line and held against our operations.
-- Lock risk: instructions and choices are locked while three indexes are built on them; the tables are
-- new.

-- A rail's statement names our reference and nothing else, also of what ended long ago.
drop index instructions_reference_idx;
create index instructions_reference_idx on instructions (reference);
create index choices_reference_idx on choices (reference);

-- What our books say that a rail has moved, in the order in which it ended.
create index instructions_completed_idx on instructions (environment, connector, ended_at, id)
    where status = 'COMPLETED';

-- The days of a rail of which its balances were asked, and with them which wallets there are.
create table rail_days (
    environment environment not null,
    connector text collate "C" not null,
    day date not null,
    -- When to ask next (promise 10). Null once it has told.
    due_at timestamptz,
    trouble text,
    constraint rail_days_pkey primary key (environment, connector, day)
);

create index rail_days_due_idx on rail_days (due_at) where due_at is not null;

-- One day of one wallet at a rail: its statement is ordered, read, and matched. The provider is empty
-- where the wallet is of all of a country's.
create table reconciliations (
    environment environment not null,
    connector text collate "C" not null,
    country text collate "C" not null,
    currency text collate "C" not null,
    provider text collate "C" not null,
    day date not null,
    stage text collate "C" not null default 'order',
    -- When to go on (promise 10). Null once it is done.
    due_at timestamptz,
    -- How often it was claimed: who claimed it before writes nothing any more.
    claims integer not null default 0,
    ticket text,
    trouble text,
    -- What the rail said that it held when it was asked, which is after the day.
    told_balance bigint not null,
    told_at timestamptz not null,
    -- What the wallet held by the rail's statement and by our books, when the day began and ended.
    opening_theirs bigint,
    opening_ours bigint,
    closing_theirs bigint,
    closing_ours bigint,
    -- Of the statement: its lines, those that are no operations by what they come to, and references.
    lines integer,
    others bigint,
    agreed integer,
    constraint reconciliations_pkey
        primary key (environment, connector, country, currency, provider, day),
    constraint reconciliations_stage_known
        check (stage in ('order', 'read', 'match', 'done')),
    constraint reconciliations_due_until_done check ((due_at is null) = (stage = 'done')),
    constraint reconciliations_done_whole check (
        stage <> 'done' or num_nulls(
            opening_theirs, opening_ours, closing_theirs, closing_ours, lines, others, agreed
        ) = 0
    )
);

create index reconciliations_due_idx on reconciliations (due_at) where due_at is not null;

-- Every line of a statement, as the rail has it.
create table rail_lines (
    environment environment not null,
    connector text collate "C" not null,
    country text collate "C" not null,
    currency text collate "C" not null,
    provider text collate "C" not null,
    day date not null,
    number integer not null,
    at timestamptz not null,
    word text not null,
    operation text collate "C",
    reference uuid,
    amount bigint not null,
    balance bigint,
    raw jsonb not null,
    constraint rail_lines_pkey
        primary key (environment, connector, country, currency, provider, day, number),
    constraint rail_lines_operation_known check (operation in ('DEPOSIT', 'PAYOUT', 'REFUND'))
);

create index rail_lines_reference_idx
    on rail_lines (environment, connector, country, currency, provider, reference)
    where operation is not null;

-- Where the two sides of a reference differ. What belongs to a merchant's operation names it.
create table breaks (
    environment environment not null,
    connector text collate "C" not null,
    country text collate "C" not null,
    currency text collate "C" not null,
    provider text collate "C" not null,
    -- The reference, or the day and the number of a line that has none.
    key text collate "C" not null,
    id uuid not null,
    kind text collate "C" not null,
    state text collate "C" not null,
    theirs bigint not null,
    ours bigint not null,
    application_id uuid,
    instruction_id uuid,
    type text collate "C",
    found_on date not null,
    found_at timestamptz not null,
    -- The last day that it was judged on.
    judged_on date not null,
    note text,
    closed_by text,
    closed_at timestamptz,
    constraint breaks_pkey
        primary key (environment, connector, country, currency, provider, key),
    constraint breaks_kind_known check (
        kind in ('missing_here', 'missing_there', 'different_amount', 'duplicate')
    ),
    constraint breaks_state_known check (state in ('awaited', 'open', 'closed')),
    constraint breaks_closed_whole check (
        num_nulls(note, closed_by, closed_at) = case when state = 'closed' then 0 else 3 end
    ),
    constraint breaks_operation_whole check (
        num_nulls(application_id, instruction_id, type) in (0, 3)
    )
);

create index breaks_id_idx on breaks (id);
create index breaks_found_idx on breaks (found_at, id);
create index breaks_live_idx on breaks (environment, connector, country, currency, provider, key)
    where state <> 'closed';

insert into program_rights (privilege, object)
select privilege, object
from unnest(array['insert', 'update']) as privilege
cross join unnest(array['rail_days', 'reconciliations', 'rail_lines', 'breaks']) as object
union all
select 'delete', 'rail_lines';

-- Inquiries: a rail is asked once more about what has ended or went on elsewhere, for what may contradict
-- that: when it calls back about it, and a while after it went on.
-- Lock risk: none, the table is new.

-- One row for each reference that a rail is asked about although it is over there. A rail may call as often
-- as it likes: that costs no second row, and no check before its time.
create table inquiries (
    application_id uuid not null,
    environment environment not null,
    instruction_id uuid not null,
    -- Ours, which that rail has: an earlier choice on a hosted page has its own, and an earlier rail.
    reference uuid not null,
    -- Who is asked.
    connector text collate "C" not null,
    -- When the rail called back last or it went on, when it was asked last, and when to ask (promise 10).
    -- Null is done.
    heard_at timestamptz not null,
    asked_at timestamptz,
    due_at timestamptz,
    -- How often it was asked since then without saying anything definite.
    tries integer not null default 0,
    constraint inquiries_pkey primary key (application_id, environment, instruction_id, reference),
    constraint inquiries_asked_when_tried check (tries = 0 or asked_at is not null)
) with (fillfactor = 70);

create index inquiries_due_idx on inquiries (due_at) where due_at is not null;
create index inquiries_heard_idx on inquiries (heard_at) where due_at is null;

-- See 0006: before there are rows, the planner is told what the columns of the keys are like.
select
    pg_restore_attribute_stats(
        'schemaname', current_schema()::text,
        'relname', 'inquiries',
        'attname', attribute,
        'inherited', false,
        'null_frac', 0::real,
        'avg_width', 16,
        'n_distinct', n_distinct::real
    )
from (
    values
        ('application_id', 1), ('environment', 1), ('instruction_id', -0.9), ('reference', -1),
        ('due_at', -1), ('heard_at', -1)
) as expected (attribute, n_distinct);

insert into program_rights (privilege, object) values
    ('insert', 'inquiries'), ('update', 'inquiries'), ('delete', 'inquiries');

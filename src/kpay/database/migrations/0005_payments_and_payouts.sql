-- Money in and money out. What was agreed (payments, payouts) is written once and never changed;
-- what happens to it at a rail (instructions, attempts) moves on beside it.
-- Lock risk: none, every table is new.

create type instruction_status as enum ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED');

-- One operation as a rail is told it, and how far it has come. Shares the id of its payment or payout.
create table instructions (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    type text collate "C" not null,
    -- The externalId while it is taken; null once the operation failed or was cancelled.
    claimed_external_id text collate "C",
    reference uuid not null,
    provider text collate "C" not null,
    phone_number text collate "C" not null,
    currency text collate "C" not null,
    amount bigint not null,
    status instruction_status not null,
    failure_code text,
    next_action text collate "C" not null,
    attempts integer not null default 0,
    -- When to speak to the rail next (promise 10). Null once it ended.
    due_at timestamptz,
    submitted_at timestamptz,
    ended_at timestamptz,
    constraint instructions_pkey primary key (application_id, environment, id),
    -- Promise 4: one externalId has at most one live operation of its type.
    constraint instructions_external_id_key
        unique (application_id, environment, type, claimed_external_id),
    constraint instructions_type_known check (type in ('DEPOSIT', 'PAYOUT')),
    constraint instructions_action_known check (next_action in ('submit', 'check')),
    constraint instructions_amount_positive check (amount > 0),
    constraint instructions_due_until_ended check (
        (due_at is null) = (ended_at is not null)
        and (ended_at is null) = (status in ('PENDING', 'PROCESSING'))
    ),
    constraint instructions_failure_has_code
        check ((status = 'FAILED') = (failure_code is not null))
) with (fillfactor = 70);

create index instructions_due_idx on instructions (due_at) where due_at is not null;

-- An end is an end: a status that was reached is never left again, and never by another route.
create function check_instruction_step() returns trigger language plpgsql as $$
begin
    if (old.status, new.status) not in (
        ('PENDING', 'PENDING'), ('PENDING', 'PROCESSING'), ('PENDING', 'CANCELLED'),
        ('PROCESSING', 'PROCESSING'), ('PROCESSING', 'COMPLETED'), ('PROCESSING', 'FAILED')
    ) then
        raise exception 'an instruction cannot go from % to %', old.status, new.status
            using errcode = 'integrity_constraint_violation', constraint = 'instructions_steps';
    end if;
    return new;
end
$$;

create trigger instructions_steps before update on instructions
    for each row execute function check_instruction_step();

-- One row for each time a rail was spoken to: written and committed before the call, and again with
-- what came back. A row without an outcome is a call whose answer was never recorded.
create table attempts (
    application_id uuid not null,
    environment environment not null,
    instruction_id uuid not null,
    number integer not null,
    action text collate "C" not null,
    connector text collate "C" not null,
    sent jsonb not null,
    sent_at timestamptz not null,
    outcome text collate "C",
    answer jsonb,
    answered_at timestamptz,
    constraint attempts_pkey primary key (application_id, environment, instruction_id, number),
    constraint attempts_action_known check (action in ('submit', 'check')),
    constraint attempts_outcome_known check (
        outcome in ('accepted', 'paid', 'refused', 'not_found', 'unknown')
    ),
    constraint attempts_answered_whole check ((outcome is null) = (answered_at is null))
) with (fillfactor = 70);

-- Money in: a payer's mobile money for a merchant.
create table payments (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    suffix text collate "C" not null,
    external_id text collate "C" not null,
    provider text collate "C" not null,
    country text collate "C" not null,
    phone_number text collate "C" not null,
    currency text collate "C" not null,
    amount bigint not null,
    fee bigint not null,
    customer_name text,
    customer_email text,
    description text,
    metadata jsonb,
    created_at timestamptz not null,
    constraint payments_pkey primary key (application_id, environment, id),
    constraint payments_suffix_key unique (application_id, environment, suffix),
    constraint payments_amounts_in_order check (0 <= fee and fee < amount)
);

create index payments_external_id_idx on payments (application_id, environment, external_id);

create trigger payments_insert_only before update or delete or truncate on payments
    for each statement execute function refuse_change();

-- Money out: from a wallet to a telephone in any country, with the rate it was agreed at (promise 7).
create table payouts (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    suffix text collate "C" not null,
    external_id text collate "C",
    source_country text collate "C" not null,
    currency text collate "C" not null,
    amount bigint not null,
    fee bigint not null,
    provider text collate "C" not null,
    country text collate "C" not null,
    phone_number text collate "C" not null,
    payout_currency text collate "C" not null,
    payout_amount bigint not null,
    rate numeric not null,
    rate_source text not null,
    rate_as_of timestamptz not null,
    rate_margin_bps integer not null,
    description text,
    metadata jsonb,
    created_at timestamptz not null,
    constraint payouts_pkey primary key (application_id, environment, id),
    constraint payouts_suffix_key unique (application_id, environment, suffix),
    constraint payouts_amounts_in_order check (
        0 <= fee and fee < amount and payout_amount > 0
    ),
    constraint payouts_same_currency_at_one check (
        currency <> payout_currency or (rate = 1 and payout_amount = amount - fee)
    ),
    constraint payouts_rate_positive check (rate > 0)
);

create index payouts_external_id_idx
    on payouts (application_id, environment, external_id) where external_id is not null;

create trigger payouts_insert_only before update or delete or truncate on payouts
    for each statement execute function refuse_change();

-- How somebody decided that an operation of the sandbox ends, for the numbers that never do.
create table sandbox_verdicts (
    application_id uuid not null,
    environment environment not null,
    reference uuid not null,
    outcome text not null,
    failure_code text,
    constraint sandbox_verdicts_pkey primary key (application_id, environment, reference),
    constraint sandbox_verdicts_only_in_test check (environment = 'TEST'),
    constraint sandbox_verdicts_outcome_known check (
        (outcome = 'COMPLETED' and failure_code is null)
        or (outcome = 'FAILED' and failure_code is not null)
    )
);

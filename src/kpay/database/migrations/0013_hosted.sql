-- The hosted page: a merchant names an amount, and the payer or the beneficiary picks operator and
-- number on a page of ours. It is one operation of one id from the beginning: what was agreed is a row
-- of payments or payouts without a destination, what was picked is a row of choices, and the last of
-- them holds.
-- Lock risk: instructions, payments and payouts are locked while each is read once, for its new checks
-- and one index.

-- Where the page of an operation leads back to, and the hash of the token that opens it.
create table gateways (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    type text collate "C" not null,
    token_hash bytea not null,
    return_url text not null,
    cancel_url text,
    constraint gateways_pkey primary key (application_id, environment, id),
    -- A page is found by its token before its application is known.
    constraint gateways_token_hash_key unique (token_hash),
    constraint gateways_type_known check (type in ('DEPOSIT', 'PAYOUT'))
);

create trigger gateways_insert_only before update or delete or truncate on gateways
    for each statement execute function refuse_change();

-- What was picked on a page, each time that something was: the last one holds. A beneficiary's choice
-- fixes the rate as well (promise 7).
create table choices (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    number integer not null,
    provider text collate "C" not null,
    country text collate "C" not null,
    phone_number text collate "C" not null,
    reference uuid not null,
    payout_currency text collate "C",
    payout_amount bigint,
    rate numeric,
    rate_source text,
    rate_as_of timestamptz,
    rate_margin_bps integer,
    at timestamptz not null,
    constraint choices_pkey primary key (application_id, environment, id, number),
    constraint choices_numbered check (number > 0),
    constraint choices_quoted_whole check (
        num_nulls(payout_currency, payout_amount, rate, rate_source, rate_as_of, rate_margin_bps)
        in (0, 6)
    ),
    constraint choices_amounts_positive check (payout_amount > 0 and rate > 0)
);

create trigger choices_insert_only before update or delete or truncate on choices
    for each statement execute function refuse_change();

-- Hosted is what has an end for choosing; its destination is then in choices.
alter table payments
    alter column provider drop not null,
    alter column country drop not null,
    alter column phone_number drop not null,
    add column expires_at timestamptz,
    add constraint payments_destination_or_hosted check (
        num_nulls(provider, country, phone_number) = case when expires_at is null then 0 else 3 end
    );

alter table payouts
    alter column provider drop not null,
    alter column country drop not null,
    alter column phone_number drop not null,
    alter column payout_currency drop not null,
    alter column payout_amount drop not null,
    alter column rate drop not null,
    alter column rate_source drop not null,
    alter column rate_as_of drop not null,
    alter column rate_margin_bps drop not null,
    add column expires_at timestamptz,
    add constraint payouts_destination_or_hosted check (
        num_nulls(
            provider, country, phone_number, payout_currency, payout_amount, rate, rate_source,
            rate_as_of, rate_margin_bps
        ) = case when expires_at is null then 0 else 9 end
    );

alter table instructions
    alter column provider drop not null,
    alter column phone_number drop not null,
    alter column currency drop not null,
    alter column amount drop not null,
    -- The number of the choice that holds; 0 before the first, null where there is no page.
    add column choice integer,
    -- How many attempts were made for the choices before this one: their answers are not this one's.
    add column earlier_attempts integer,
    add constraint instructions_hosted_whole check ((choice is null) = (earlier_attempts is null)),
    add constraint instructions_told_when_chosen check (
        num_nulls(provider, phone_number) = case when choice = 0 then 2 else 0 end
        and (choice = 0 or num_nulls(currency, amount) = 0)
    ),
    drop constraint instructions_action_known,
    add constraint instructions_action_known check (next_action in ('choose', 'submit', 'check')),
    add constraint instructions_choosing_is_pending check (
        (next_action = 'choose') = (status = 'PENDING' and choice is not null)
    ),
    -- While another choice may be made, the page says why the last one came to nothing.
    drop constraint instructions_failure_has_code,
    add constraint instructions_failure_has_code check (
        (status = 'FAILED') = (failure_code is not null) or next_action = 'choose'
    );

-- What nobody chose in time is looked for apart from what a rail is to be told.
create index instructions_choosing_idx on instructions (type, due_at) where next_action = 'choose';

-- A refusal leads back to the page, and a page that is left alone runs out: of what is hosted only.
create or replace function check_instruction_step() returns trigger language plpgsql as $$
begin
    if (old.status, new.status) not in (
        ('PENDING', 'PENDING'), ('PENDING', 'PROCESSING'), ('PENDING', 'CANCELLED'),
        ('PROCESSING', 'PROCESSING'), ('PROCESSING', 'COMPLETED'), ('PROCESSING', 'FAILED')
    ) and not (
        old.choice is not null
        and (old.status, new.status) in (('PENDING', 'FAILED'), ('PROCESSING', 'PENDING'))
    ) then
        raise exception 'an instruction cannot go from % to %', old.status, new.status
            using errcode = 'integrity_constraint_violation', constraint = 'instructions_steps';
    end if;
    return new;
end
$$;

-- A payout with a page, as it is written beside the entry that sets its money aside.
create type new_hosted_payout as (
    id uuid,
    suffix text,
    external_id text,
    source_country text,
    currency text,
    amount bigint,
    fee bigint,
    description text,
    metadata jsonb,
    created_at timestamptz,
    reference uuid,
    expires_at timestamptz,
    token_hash bytea,
    return_url text,
    cancel_url text
);

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
        ('gateways', 'application_id', 1), ('gateways', 'environment', 1), ('gateways', 'id', -1),
        ('gateways', 'token_hash', -1),
        ('choices', 'application_id', 1), ('choices', 'environment', 1), ('choices', 'id', -0.7),
        ('choices', 'number', -0.7)
) as expected (relation, attribute, n_distinct);

insert into program_rights (privilege, object) values ('insert', 'gateways'), ('insert', 'choices');

-- Refunds: what a payer has paid goes back to them, as an instruction of its own at the payer's rail.
-- Lock risk: entries, instructions and events are locked while each is read once, to see that it holds
-- to its widened list.

alter table entries
    drop constraint entries_kind_known,
    add constraint entries_kind_known check (
        (
            step = 1
            and kind in ('payment_completed', 'transfer', 'payout_requested', 'refund_requested')
        )
        or (
            step = 2
            and kind in (
                'payout_completed', 'payout_released', 'refund_completed', 'refund_released'
            )
        )
    );

alter table events
    drop constraint events_type_known,
    add constraint events_type_known check (
        split_part(type, '.', 1) in ('payment', 'payout', 'refund')
        and split_part(type, '.', 2) in ('completed', 'failed', 'cancelled')
    );

-- Of a refund, the reference of the deposit that it gives back: rails ask for it.
alter table instructions
    add column deposit_reference uuid,
    drop constraint instructions_type_known,
    add constraint instructions_type_known check (type in ('DEPOSIT', 'PAYOUT', 'REFUND')),
    add constraint instructions_refund_has_deposit
        check ((type = 'REFUND') = (deposit_reference is not null));

-- Promise 5: what was paid is given back once. A refund that failed or was cancelled has given
-- nothing back, and another may follow it. Only refunds are in this index, so nothing else is slower.
create unique index instructions_refund_key
    on instructions (application_id, environment, deposit_reference)
    where deposit_reference is not null and status not in ('FAILED', 'CANCELLED');

-- What was agreed to give back, and of which payment; what a rail does about it is an instruction.
create table refunds (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    suffix text collate "C" not null,
    external_id text collate "C",
    payment_id uuid not null,
    provider text collate "C" not null,
    country text collate "C" not null,
    phone_number text collate "C" not null,
    currency text collate "C" not null,
    amount bigint not null,
    reason text,
    created_at timestamptz not null,
    constraint refunds_pkey primary key (application_id, environment, id)
);

create index refunds_external_id_idx
    on refunds (application_id, environment, external_id) where external_id is not null;

create index refunds_payment_idx on refunds (application_id, environment, payment_id);

create trigger refunds_insert_only before update or delete or truncate on refunds
    for each statement execute function refuse_change();

-- Promise 5: a refund gives back what a rail has taken, all of it, and to whom it was taken from.
create function check_refunds_deposit() returns trigger language plpgsql as $$
begin
    if exists (
        select from fresh
        left join instructions as deposit
            on deposit.application_id = fresh.application_id
            and deposit.environment = fresh.environment
            and deposit.id = fresh.payment_id
            and deposit.type = 'DEPOSIT'
            and deposit.status = 'COMPLETED'
        left join instructions as told
            on told.application_id = fresh.application_id
            and told.environment = fresh.environment
            and told.id = fresh.id
        where (deposit.provider, deposit.phone_number, deposit.currency, deposit.amount)
            is distinct from (fresh.provider, fresh.phone_number, fresh.currency, fresh.amount)
            or (told.provider, told.phone_number, told.currency, told.amount)
            is distinct from (fresh.provider, fresh.phone_number, fresh.currency, fresh.amount)
            or told.deposit_reference is distinct from deposit.reference
    ) then
        raise exception 'a refund is not of a completed payment, whole and to its payer'
            using errcode = 'integrity_constraint_violation', constraint = 'refunds_of_a_deposit';
    end if;
    return null;
end
$$;

create trigger refunds_of_a_deposit after insert on refunds
    referencing new table as fresh
    for each statement execute function check_refunds_deposit();

-- A refund, the instruction that it is handed over by, and the deposit that it gives back.
create type new_refund as (
    id uuid,
    suffix text,
    external_id text,
    payment_id uuid,
    provider text,
    country text,
    phone_number text,
    currency text,
    amount bigint,
    reason text,
    created_at timestamptz,
    reference uuid,
    deposit_reference uuid
);

-- A refund is told after what is told of its payment.
create or replace function webhook_resource(
    application_id uuid, environment environment, type text, operation_id uuid
) returns uuid language sql stable return case
    when split_part(type, '.', 1) <> 'refund' then operation_id
    else coalesce(
        (
            select payment_id
            from refunds
            where refunds.application_id = webhook_resource.application_id
                and refunds.environment = webhook_resource.environment
                and refunds.id = operation_id
        ),
        operation_id
    )
end;

insert into program_rights (privilege, object) values ('insert', 'refunds');

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
        ('refunds', 'application_id', 1), ('refunds', 'environment', 1), ('refunds', 'id', -1),
        ('refunds', 'external_id', -1), ('refunds', 'payment_id', -1),
        ('instructions', 'deposit_reference', -1)
) as expected (relation, attribute, n_distinct);

-- name: refunds_posted
-- 5. A refund is held while it is open, consumed when complete, given back when failed or cancelled.
select refunds.application_id, refunds.environment::text, refunds.id, instructions.status::text
from refunds
left join instructions using (application_id, environment, id)
left join entries as opening
    on opening.application_id = refunds.application_id
    and opening.environment = refunds.environment
    and opening.operation_id = refunds.id
    and opening.kind = 'refund_requested'
left join entries as closing
    on closing.application_id = refunds.application_id
    and closing.environment = refunds.environment
    and closing.operation_id = refunds.id
    and closing.step = 2
where opening.kind is null
    or instructions.status is null
    or closing.kind is distinct from case
        when instructions.status = 'COMPLETED' then 'refund_completed'
        when instructions.status in ('FAILED', 'CANCELLED') then 'refund_released'
    end;

-- name: refunds_within_payments
-- 5. Of a payment that was completed all is given back, and at most once.
select
    refunds.application_id, refunds.environment::text, refunds.payment_id,
    deposit.amount as paid, sum(told.amount) as given_back
from refunds
join instructions as told using (application_id, environment, id)
left join instructions as deposit
    on deposit.application_id = refunds.application_id
    and deposit.environment = refunds.environment
    and deposit.id = refunds.payment_id
    and deposit.type = 'DEPOSIT'
    and deposit.status = 'COMPLETED'
where told.status not in ('FAILED', 'CANCELLED')
group by refunds.application_id, refunds.environment, refunds.payment_id, deposit.amount
having sum(told.amount) is distinct from deposit.amount;

-- name: refunds_recomputed
-- 5. A refund, what the rail was told and the deposit that it gives back are of one amount and phone.
select refunds.application_id, refunds.environment::text, refunds.id
from refunds
left join instructions as told using (application_id, environment, id)
left join instructions as deposit
    on deposit.application_id = refunds.application_id
    and deposit.environment = refunds.environment
    and deposit.id = refunds.payment_id
where told.deposit_reference is distinct from deposit.reference
    or (told.provider, told.phone_number, told.currency, told.amount)
    is distinct from (refunds.provider, refunds.phone_number, refunds.currency, refunds.amount)
    or (deposit.provider, deposit.phone_number, deposit.currency, deposit.amount)
    is distinct from (refunds.provider, refunds.phone_number, refunds.currency, refunds.amount);

-- name: refund_entries_have_records
-- 4. Every refund's entry has its record.
select entries.application_id, entries.environment::text, entries.operation_id
from entries
left join refunds
    on refunds.application_id = entries.application_id
    and refunds.environment = entries.environment
    and refunds.id = entries.operation_id
where entries.kind like 'refund_%' and refunds.id is null;

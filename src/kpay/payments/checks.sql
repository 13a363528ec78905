-- name: payments_posted
-- 4. A payment has an entry exactly when it is complete, and it credits the net to its wallet.
select payments.application_id, payments.environment::text, payments.id, instructions.status::text
from payments
left join instructions using (application_id, environment, id)
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice
left join postings as credit
    on credit.application_id = payments.application_id
    and credit.environment = payments.environment
    and credit.operation_id = payments.id
    and credit.account = 'wallet:' || coalesce(payments.country, choices.country)
where instructions.status is null
    or credit.amount is distinct from case
        when instructions.status = 'COMPLETED' then payments.amount - payments.fee
    end;

-- name: payment_entries_have_records
-- 4. Every payment's entry has its record.
select entries.application_id, entries.environment::text, entries.operation_id
from entries
left join payments
    on payments.application_id = entries.application_id
    and payments.environment = entries.environment
    and payments.id = entries.operation_id
where entries.kind = 'payment_completed' and payments.id is null;

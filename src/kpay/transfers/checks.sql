-- name: transfers_posted
-- 4. Every transfer has its entry and every transfer's entry its record.
select
    coalesce(transfers.application_id, entries.application_id) as application_id,
    coalesce(transfers.id, entries.operation_id) as id
from transfers
full join (select * from entries where kind = 'transfer') as entries
    on entries.application_id = transfers.application_id
    and entries.environment = transfers.environment
    and entries.operation_id = transfers.id
where transfers.id is null or entries.operation_id is null;

-- name: transfers_recomputed
-- 7. What each transfer credited is what it debited at the rate on record, and what was posted.
select transfers.application_id, transfers.environment::text, transfers.id
from transfers
left join postings as debit
    on debit.application_id = transfers.application_id
    and debit.environment = transfers.environment
    and debit.operation_id = transfers.id
    and debit.account = 'wallet:' || transfers.source_country
left join postings as credit
    on credit.application_id = transfers.application_id
    and credit.environment = transfers.environment
    and credit.operation_id = transfers.id
    and credit.account = 'wallet:' || transfers.destination_country
where transfers.destination_amount <> round(transfers.source_amount * transfers.rate)
    or debit.amount is distinct from -transfers.source_amount
    or credit.amount is distinct from transfers.destination_amount;

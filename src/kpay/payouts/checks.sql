-- name: payouts_posted
-- 5. A payout is held while it is open, consumed when complete, given back when failed or cancelled.
select payouts.application_id, payouts.environment::text, payouts.id, instructions.status::text
from payouts
left join instructions using (application_id, environment, id)
left join entries as opening
    on opening.application_id = payouts.application_id
    and opening.environment = payouts.environment
    and opening.operation_id = payouts.id
    and opening.kind = 'payout_requested'
left join entries as closing
    on closing.application_id = payouts.application_id
    and closing.environment = payouts.environment
    and closing.operation_id = payouts.id
    and closing.step = 2
where opening.kind is null
    or instructions.status is null
    or closing.kind is distinct from case
        when instructions.status = 'COMPLETED' then 'payout_completed'
        when instructions.status in ('FAILED', 'CANCELLED') then 'payout_released'
    end;

-- name: payouts_recomputed
-- 7. What arrives is the net at the rate on record; what the rail was told differs by its decimals.
select payouts.application_id, payouts.environment::text, payouts.id
from payouts
left join instructions using (application_id, environment, id)
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice
where coalesce(payouts.payout_amount, choices.payout_amount)
    <> round((payouts.amount - payouts.fee) * coalesce(payouts.rate, choices.rate))
    or abs(coalesce(payouts.payout_amount, choices.payout_amount) - instructions.amount) > 50;

-- name: payouts_wait_as_agreed
-- 10. A payout's deadline is as long after its request, or its last choice, as was agreed.
select payouts.application_id, payouts.environment::text, payouts.id, instructions.queue_until
from payouts
join instructions using (application_id, environment, id)
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice
where case
    when instructions.queue_until is not null
    then payouts.queue_minutes is null
        or instructions.queue_until
        <> coalesce(choices.at, payouts.created_at)
            + make_interval(mins => payouts.queue_minutes)
    else payouts.queue_minutes is not null
        and instructions.status in ('PENDING', 'PROCESSING')
        and instructions.next_action <> 'choose'
end;

-- name: payout_entries_have_records
-- 4. Every payout's entry has its record.
select entries.application_id, entries.environment::text, entries.operation_id
from entries
left join payouts
    on payouts.application_id = entries.application_id
    and payouts.environment = entries.environment
    and payouts.id = entries.operation_id
where entries.kind like 'payout_%' and payouts.id is null;

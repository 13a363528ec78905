-- name: one_live_operation
-- 4. An externalId is claimed by exactly its live operation.
select instructions.application_id, instructions.environment::text, instructions.id
from instructions
left join payments using (application_id, environment, id)
left join payouts using (application_id, environment, id)
left join refunds using (application_id, environment, id)
where instructions.claimed_external_id is distinct from case
    when instructions.status not in ('FAILED', 'CANCELLED')
    then coalesce(payments.external_id, payouts.external_id, refunds.external_id)
end;

-- name: open_work_is_due
-- 10. Everything open has a time at which it is looked at again.
select application_id, environment::text, id, status::text
from instructions
where status in ('PENDING', 'PROCESSING') and due_at is null;

-- name: deadlines_are_seen_to
-- 10. What is open and has a deadline has a time at which that is seen to, or a rail that cannot cancel.
select application_id, environment::text, id, status::text
from instructions
where status in ('PENDING', 'PROCESSING') and queue_until is not null and deadline_due_at is null
    and not exists (
        select from attempts
        where attempts.application_id = instructions.application_id
            and attempts.environment = instructions.environment
            and attempts.instruction_id = instructions.id
            and attempts.number > coalesce(instructions.earlier_attempts, 0)
            and attempts.action = 'cancel' and attempts.answer ->> 'failureCode' = 'CANNOT_CANCEL'
    );

-- name: deadlines_had_passed
-- 5. What failed for its deadline did so after it: no rail had it, or the rail was asked to cancel it.
select application_id, environment::text, id, queue_until, ended_at
from instructions
where status = 'FAILED' and failure_code = 'DEADLINE_PASSED'
    and not coalesce(
        case
            when connector is null then ended_at >= queue_until
            else exists (
                select from attempts
                where attempts.application_id = instructions.application_id
                    and attempts.environment = instructions.environment
                    and attempts.instruction_id = instructions.id
                    and attempts.number > coalesce(instructions.earlier_attempts, 0)
                    and attempts.action = 'cancel' and attempts.sent ? 'queueUntil'
            )
        end,
        false
    );

-- name: ends_are_told
-- 9. Everything that ended has its event, and nothing that goes on has one.
select
    instructions.application_id, instructions.environment::text, instructions.id,
    instructions.status::text, events.type
from instructions
left join events
    on events.application_id = instructions.application_id
    and events.environment = instructions.environment
    and events.operation_id = instructions.id
where events.type is distinct from case
    when instructions.ended_at is not null
    then case instructions.type
            when 'DEPOSIT' then 'payment' when 'PAYOUT' then 'payout' when 'REFUND' then 'refund'
        end
        || '.' || lower(instructions.status::text)
end;

-- name: holds_are_open_operations
-- 5. What a country's reserved account holds is the sum of its open payouts and refunds.
with held as (
    select application_id, environment, substr(code, 10) as country, balance
    from accounts
    where left(code, 9) = 'reserved:'
),

open as (
    select application_id, environment, country, sum(held_for.amount) as total
    from (
        select application_id, environment, id, source_country as country, amount from payouts
        union all
        select application_id, environment, id, country, amount from refunds
    ) as held_for
    join instructions using (application_id, environment, id)
    where instructions.status in ('PENDING', 'PROCESSING')
    group by application_id, environment, country
)

select
    application_id, environment::text, country, coalesce(held.balance, 0) as held,
    coalesce(open.total, 0) as open
from held
full join open using (application_id, environment, country)
where coalesce(held.balance, 0) <> coalesce(open.total, 0);

-- name: one_reference_at_a_time
-- 5. Nothing is handed over under another reference before a rail has refused the one before it.
select
    later.application_id, later.environment::text, later.instruction_id, later.number,
    earlier.sent ->> 'reference' as earlier_reference, earlier.connector as earlier_connector
from attempts as later
join attempts as earlier
    on earlier.application_id = later.application_id
    and earlier.environment = later.environment
    and earlier.instruction_id = later.instruction_id
    and earlier.number < later.number
where later.action = 'submit' and earlier.action = 'submit'
    and earlier.sent ->> 'reference' <> later.sent ->> 'reference'
    and (
        not exists (
            select from attempts as refusing
            where refusing.application_id = later.application_id
                and refusing.environment = later.environment
                and refusing.instruction_id = later.instruction_id
                and refusing.number < later.number
                and refusing.outcome = 'refused'
                and refusing.sent ->> 'reference' = earlier.sent ->> 'reference'
        )
        -- Nor is one that was refused ever taken up again.
        or exists (
            select from attempts as between_them
            where between_them.application_id = later.application_id
                and between_them.environment = later.environment
                and between_them.instruction_id = later.instruction_id
                and between_them.number < earlier.number
                and between_them.action = 'submit'
                and between_them.sent ->> 'reference' = later.sent ->> 'reference'
        )
    );

-- name: one_rail_has_a_reference
-- 5. A reference was told to one rail alone, and every one of before is on record with its refusal.
select
    attempts.application_id, attempts.environment::text, attempts.instruction_id, attempts.number,
    attempts.connector
from attempts
join instructions
    on instructions.application_id = attempts.application_id
    and instructions.environment = attempts.environment
    and instructions.id = attempts.instruction_id
left join earlier_rails
    on earlier_rails.application_id = attempts.application_id
    and earlier_rails.environment = attempts.environment
    and earlier_rails.id = attempts.instruction_id
    and earlier_rails.reference = (attempts.sent ->> 'reference')::uuid
where attempts.connector <> 'none'
    and case
        when earlier_rails.id is not null then attempts.connector <> earlier_rails.connector
        when (attempts.sent ->> 'reference')::uuid = instructions.reference
        then attempts.connector <> instructions.connector
        -- What is neither was another choice of a page.
        else coalesce(instructions.choice, 0) < 2
    end
union all
select
    earlier_rails.application_id, earlier_rails.environment::text, earlier_rails.id,
    earlier_rails.attempt, earlier_rails.connector
from earlier_rails
left join attempts
    on attempts.application_id = earlier_rails.application_id
    and attempts.environment = earlier_rails.environment
    and attempts.instruction_id = earlier_rails.id
    and attempts.number = earlier_rails.attempt
where attempts.outcome is distinct from 'refused'
    or (attempts.sent ->> 'reference')::uuid is distinct from earlier_rails.reference;

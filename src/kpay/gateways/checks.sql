-- name: hosted_have_pages
-- 4. What was asked for without a destination has a page and waits for a choice, and nothing else.
select application_id, environment::text, id, operations.kind
from (
    select application_id, environment, id, expires_at, 'payment' as kind from payments
    union all
    select application_id, environment, id, expires_at, 'payout' as kind from payouts
) as operations
left join instructions using (application_id, environment, id)
left join gateways using (application_id, environment, id)
where (operations.expires_at is not null) <> (gateways.id is not null)
    or (operations.expires_at is not null) <> (instructions.choice is not null);

-- name: last_choice_is_told
-- 7. What a rail is told is the last choice on record, and every earlier one is there.
select instructions.application_id, instructions.environment::text, instructions.id
from instructions
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice
where instructions.choice > 0
    and (choices.reference, choices.provider, choices.phone_number)
    is distinct from (
        -- The first rail was told it under the choice's own reference, the next ones under others.
        coalesce(
            (
                select earlier_rails.reference
                from earlier_rails
                where earlier_rails.application_id = instructions.application_id
                    and earlier_rails.environment = instructions.environment
                    and earlier_rails.id = instructions.id
                    and earlier_rails.choice = instructions.choice
                order by earlier_rails.attempt
                limit 1
            ),
            instructions.reference
        ),
        instructions.provider, instructions.phone_number
    )
union all
select choices.application_id, choices.environment::text, choices.id
from choices
left join instructions using (application_id, environment, id)
group by choices.application_id, choices.environment, choices.id, instructions.choice
having count(*) <> coalesce(instructions.choice, 0) or max(choices.number) <> count(*);

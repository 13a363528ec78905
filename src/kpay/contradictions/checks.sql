-- name: contradictions_are_held
-- 5. Every answer that speaks against what is settled is held for the operator.
select
    attempts.application_id, attempts.environment::text, attempts.instruction_id, attempts.number,
    attempts.outcome, instructions.status::text
from attempts
join instructions
    on instructions.application_id = attempts.application_id
    and instructions.environment = attempts.environment
    and instructions.id = attempts.instruction_id
where (
        (
            attempts.outcome = 'paid'
            and (
                instructions.status in ('FAILED', 'CANCELLED', 'PENDING')
                or (attempts.sent ->> 'reference')::uuid <> instructions.reference
            )
        )
        or (
            attempts.outcome = 'refused'
            and instructions.status = 'COMPLETED'
            and (attempts.sent ->> 'reference')::uuid = instructions.reference
        )
    )
    and not exists (
        select from contradictions
        where contradictions.application_id = attempts.application_id
            and contradictions.environment = attempts.environment
            and contradictions.instruction_id = attempts.instruction_id
            and contradictions.reference = (attempts.sent ->> 'reference')::uuid
    );

-- name: contradictions_of_operations
-- 8. Every contradiction is of an operation of its own book.
select
    contradictions.application_id, contradictions.environment::text,
    contradictions.instruction_id, contradictions.what
from contradictions
left join instructions
    on instructions.application_id = contradictions.application_id
    and instructions.environment = contradictions.environment
    and instructions.id = contradictions.instruction_id
where instructions.id is null;

-- name: taken
-- The live operations that already use some of these externalIds.
select wanted.position, instructions.id
from unnest($1::int[], $2::uuid[], $3::environment[], $4::text[], $5::text[])
    as wanted (position, application_id, environment, type, claimed_external_id)
join instructions using (application_id, environment, type, claimed_external_id);

-- name: insert
-- Record a batch of instructions, due at once, in one order so that batches cannot deadlock.
insert into instructions (
    application_id, environment, id, type, claimed_external_id, reference, provider, phone_number,
    currency, amount, status, next_action, due_at
)
select fresh.*, 'PENDING', 'submit', $11::timestamptz
from unnest(
    $1::uuid[], $2::environment[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[],
    $8::text[], $9::text[], $10::bigint[]
) as fresh
order by 1, 2, 4, 5;

-- name: claim
-- Claim what is due of one type and write the intent of each attempt, in one statement.
with due as (
    select application_id, environment, id, next_action
    from instructions
    where due_at <= $1 and type = $2
    order by due_at
    limit $3
    for update skip locked
),

claimed as (
    update instructions
    set
        status = 'PROCESSING',
        next_action = 'check',
        attempts = attempts + 1,
        due_at = $4,
        -- Each handing over counts anew: the last one may be on its way while all before are lost.
        submitted_at = case when due.next_action = 'submit' then $1 else submitted_at end
    from due
    where instructions.application_id = due.application_id
        and instructions.environment = due.environment
        and instructions.id = due.id
    returning
        instructions.application_id, instructions.environment, instructions.id,
        instructions.reference, instructions.provider, instructions.phone_number,
        instructions.currency, instructions.amount, instructions.submitted_at,
        instructions.attempts as number, due.next_action as action
),

intents as (
    insert into attempts (
        application_id, environment, instruction_id, number, action, connector, sent, sent_at
    )
    select
        application_id, environment, id, number, action, $5::jsonb ->> environment::text,
        jsonb_build_object(
            'reference', reference, 'operationType', $2, 'provider', provider,
            'phoneNumber', phone_number, 'currency', currency,
            'amount', trim_scale(amount / 100.0)::text
        ),
        $1
    from claimed
)

select
    application_id, environment::text, id, number, action, reference, provider, phone_number,
    currency, amount, submitted_at
from claimed;

-- name: lock
-- The status of a batch of instructions, locked in one order.
select wanted.position, instructions.status::text
from unnest($1::int[], $2::uuid[], $3::environment[], $4::uuid[])
    as wanted (position, application_id, environment, id)
join instructions using (application_id, environment, id)
order by instructions.application_id, instructions.environment, instructions.id
for update of instructions;

-- name: advance
-- Write the steps of a batch. What failed or was cancelled gives its externalId back.
update instructions
set
    status = step.status,
    failure_code = step.failure_code,
    next_action = step.next_action,
    due_at = step.due_at,
    ended_at = step.ended_at,
    claimed_external_id = case
        when step.status not in ('FAILED', 'CANCELLED') then claimed_external_id
    end
from unnest(
    $1::uuid[], $2::environment[], $3::uuid[], $4::instruction_status[], $5::text[], $6::text[],
    $7::timestamptz[], $8::timestamptz[]
) as step (
    application_id, environment, id, status, failure_code, next_action, due_at, ended_at
)
where instructions.application_id = step.application_id
    and instructions.environment = step.environment
    and instructions.id = step.id;

-- name: record_answers
-- What came back from the rail, for a batch of attempts. The first answer recorded stays.
update attempts
set outcome = reply.outcome, answer = reply.evidence, answered_at = reply.at
from unnest(
    $1::uuid[], $2::environment[], $3::uuid[], $4::int[], $5::text[], $6::jsonb[],
    $7::timestamptz[]
) as reply (application_id, environment, instruction_id, number, outcome, evidence, at)
where attempts.application_id = reply.application_id
    and attempts.environment = reply.environment
    and attempts.instruction_id = reply.instruction_id
    and attempts.number = reply.number
    and attempts.outcome is null;

-- name: attempts
-- The evidence trail of one instruction, oldest first.
select number, action, connector, sent, sent_at, outcome, answer, answered_at
from attempts
where application_id = $1 and environment = $2 and instruction_id = $3
order by number;

-- name: hasten
-- Make an open instruction due now: something was learnt about it.
update instructions
set due_at = $4
where application_id = $1 and environment = $2 and id = $3 and status = 'PROCESSING';

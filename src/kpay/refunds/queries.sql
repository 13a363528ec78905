-- name: write
-- Record a batch of refunds, each with its instruction and the entry that sets its money aside.
with wanted as materialized (
    -- Apart, so that the type is a part of the key that is looked up: as a constant it would be a
    -- reason to read all that there is of it, whenever the last ANALYZE has seen little of it.
    select
        (($2::post_book[])[book]).application_id, (($2::post_book[])[book]).environment,
        'REFUND' as type,
        id, suffix, external_id, payment_id, provider, country, phone_number, currency, amount,
        reason, created_at, reference, deposit_reference, place
    from unnest($4::post_order[], $8::new_refund[]) with ordinality as given (
        book, operation_id, step, kind,
        id, suffix, external_id, payment_id, provider, country, phone_number, currency, amount,
        reason, created_at, reference, deposit_reference, place
    )
),

-- What stands in the way: first who has the externalId, then who gives the same deposit back.
found as materialized (
    select wanted.place, instructions.id, 1 as rank
    from wanted
    join instructions
        on instructions.application_id = wanted.application_id
        and instructions.environment = wanted.environment
        and instructions.type = wanted.type
        and instructions.claimed_external_id = wanted.external_id
    union all
    select wanted.place, instructions.id, 2 as rank
    from wanted
    join instructions
        on instructions.application_id = wanted.application_id
        and instructions.environment = wanted.environment
        and instructions.deposit_reference = wanted.deposit_reference
        and instructions.status not in ('FAILED', 'CANCELLED')
),

taken as materialized (
    select array_agg(place::int) as places, array_agg(id) as ids
    from (select distinct on (place) place, id from found order by place, rank) as first
),

posted as materialized (
    select places, ids, post($1, $2, $3, $4, $5, $6, $7, places, 'already_used') as verdicts
    from taken
),

fresh as materialized (
    -- Two batches with the same deposits cannot deadlock: `post` has locked their books.
    select wanted.*
    from posted, wanted
    where posted.verdicts[wanted.place] is null
),

instructed as (
    insert into instructions (
        application_id, environment, id, type, claimed_external_id, reference, provider,
        phone_number, currency, amount, deposit_reference, status, next_action, due_at, connector
    )
    select
        application_id, environment, id, type, external_id, reference, provider,
        phone_number, currency, amount, deposit_reference, 'PENDING', 'submit', $1,
        -- The rail that has the deposit gives it back: no other one knows its reference.
        (
            select deposit.connector
            from instructions as deposit
            where deposit.application_id = fresh.application_id
                and deposit.environment = fresh.environment
                and deposit.id = fresh.payment_id
        )
    from fresh
),

recorded as (
    insert into refunds (
        application_id, environment, id, suffix, external_id, payment_id,
        provider, country, phone_number, currency, amount, reason, created_at
    )
    select
        application_id, environment, id, suffix, external_id, payment_id,
        provider, country, phone_number, currency, amount, reason, created_at
    from fresh
)

select verdicts, places, ids from posted;

-- name: of_ids
-- The refunds of a batch of claims, with their progress.
select refunds.*, refunds.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at, instructions.connector
from unnest($1::uuid[], $2::environment[], $3::uuid[]) as wanted (application_id, environment, id)
join refunds using (application_id, environment, id)
join instructions using (application_id, environment, id);

-- name: of_payment
-- The refunds of one payment, oldest first: those that failed or were cancelled too.
select refunds.*, refunds.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at, instructions.connector
from refunds
join instructions using (application_id, environment, id)
where refunds.application_id = $1 and refunds.environment = $2 and refunds.payment_id = $3
order by refunds.id;

-- name: list
-- A page of a book's refunds, newest first.
select refunds.*, refunds.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at, instructions.connector
from refunds
join instructions using (application_id, environment, id)
where refunds.application_id = $1 and refunds.environment = $2
    and ($3::text is null or refunds.external_id = $3)
    and ($4::text is null or instructions.status = $4::instruction_status)
    and ($5::text is null or refunds.country = $5)
    and ($6::text is null or refunds.provider = $6)
    and ($7::timestamptz is null or refunds.created_at >= $7)
    and ($8::timestamptz is null or refunds.created_at < $8)
    and ($9::uuid is null or refunds.id >= $9)
    and ($10::uuid is null or refunds.id < $10)
order by refunds.id desc
limit $11;

-- name: write
-- Record a batch of payouts, each with its instruction and the entry that sets its money aside.
with wanted as materialized (
    -- Apart, so that the type is a part of the key that is looked up: as a constant it would be a
    -- reason to read all that there is of it, whenever the last ANALYZE has seen little of it.
    select application_id, environment, 'PAYOUT' as type, external_id, place
    from unnest($7::new_payout[]) with ordinality as given (
        application_id, environment, id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount, rate, rate_source,
        rate_as_of, rate_margin_bps, description, metadata, created_at, reference, sent_amount,
        place
    )
),

taken as materialized (
    select array_agg(wanted.place::int) as places, array_agg(instructions.id) as ids
    from wanted
    join instructions
        on instructions.application_id = wanted.application_id
        and instructions.environment = wanted.environment
        and instructions.type = wanted.type
        and instructions.claimed_external_id = wanted.external_id
),

posted as materialized (
    select places, ids, post($1, $2, $3, $4, $5, $6, places, 'already_used') as verdicts
    from taken
),

fresh as materialized (
    select accepted.*
    from posted, unnest($7::new_payout[], posted.verdicts) as accepted (
        application_id, environment, id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount, rate, rate_source,
        rate_as_of, rate_margin_bps, description, metadata, created_at, reference, sent_amount,
        verdict
    )
    where accepted.verdict is null
),

instructed as (
    insert into instructions (
        application_id, environment, id, type, claimed_external_id, reference, provider,
        phone_number, currency, amount, status, next_action, due_at
    )
    select
        application_id, environment, id, 'PAYOUT', external_id, reference, provider,
        phone_number, payout_currency, sent_amount, 'PENDING', 'submit', $1
    from fresh
    -- In one order, so that two batches with the same externalIds cannot deadlock.
    order by application_id, environment, external_id
),

recorded as (
    insert into payouts (
        application_id, environment, id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount, rate, rate_source,
        rate_as_of, rate_margin_bps, description, metadata, created_at
    )
    select
        application_id, environment, id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount, rate, rate_source,
        rate_as_of, rate_margin_bps, description, metadata, created_at
    from fresh
)

select verdicts, places, ids from posted;

-- name: of_ids
-- The payouts of a batch of claims, with their progress.
select payouts.*, payouts.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at
from unnest($1::uuid[], $2::environment[], $3::uuid[]) as wanted (application_id, environment, id)
join payouts using (application_id, environment, id)
join instructions using (application_id, environment, id);

-- name: list
-- A page of a book's payouts, newest first. A country is the wallet's or the beneficiary's.
select payouts.*, payouts.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at
from payouts
join instructions using (application_id, environment, id)
where payouts.application_id = $1 and payouts.environment = $2
    and ($3::text is null or payouts.external_id = $3)
    and ($4::text is null or instructions.status = $4::instruction_status)
    and ($5::text is null or payouts.source_country = $5 or payouts.country = $5)
    and ($6::text is null or payouts.provider = $6)
    and ($7::timestamptz is null or payouts.created_at >= $7)
    and ($8::timestamptz is null or payouts.created_at < $8)
    and ($9::uuid is null or payouts.id < $9)
order by payouts.id desc
limit $10;

-- name: write
-- Record a batch of payouts, each with its instruction and the entry that sets its money aside.
with wanted as materialized (
    -- Apart, so that the type is a part of the key that is looked up: as a constant it would be a
    -- reason to read all that there is of it, whenever the last ANALYZE has seen little of it.
    select
        (($2::post_book[])[book]).application_id, (($2::post_book[])[book]).environment,
        'PAYOUT' as type,
        id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount,
        (($9::quote[])[quote]).rate, (($9::quote[])[quote]).source as rate_source,
        (($9::quote[])[quote]).as_of as rate_as_of,
        (($9::quote[])[quote]).margin_bps as rate_margin_bps,
        description, metadata, created_at,
        reference, sent_amount, if_delayed, queue_minutes, queue_until, place
    from unnest($4::post_order[], $8::new_payout[]) with ordinality as given (
        book, operation_id, step, kind,
        id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount,
        description, metadata, created_at, reference, sent_amount, quote, if_delayed,
        queue_minutes, queue_until, place
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
    select places, ids, post($1, $2, $3, $4, $5, $6, $7, places, 'already_used') as verdicts
    from taken
),

fresh as materialized (
    -- Two batches with the same externalIds cannot deadlock: `post` has locked their books.
    select wanted.*
    from posted, wanted
    where posted.verdicts[wanted.place] is null
),

instructed as (
    insert into instructions (
        application_id, environment, id, type, claimed_external_id, reference, provider,
        phone_number, currency, amount, status, next_action, due_at, queue_until, deadline_due_at
    )
    select
        application_id, environment, id, type, external_id, reference, provider,
        phone_number, payout_currency, sent_amount, 'PENDING', 'submit', $1,
        queue_until, queue_until
    from fresh
),

recorded as (
    insert into payouts (
        application_id, environment,
        id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount, rate, rate_source,
        rate_as_of, rate_margin_bps, description, metadata, created_at, if_delayed, queue_minutes
    )
    select
        application_id, environment,
        id, suffix, external_id, source_country, currency, amount, fee,
        provider, country, phone_number, payout_currency, payout_amount, rate, rate_source,
        rate_as_of, rate_margin_bps, description, metadata, created_at, if_delayed, queue_minutes
    from fresh
)

select verdicts, places, ids from posted;

-- name: write_hosted
-- Record a batch of payouts with pages, each with the entry that sets its money aside.
with wanted as materialized (
    select
        (($2::post_book[])[book]).application_id, (($2::post_book[])[book]).environment,
        'PAYOUT' as type,
        id, suffix, external_id, source_country, currency, amount, fee, description, metadata,
        created_at, reference, expires_at, token_hash, return_url, cancel_url, if_delayed,
        queue_minutes, place
    from unnest($4::post_order[], $8::new_hosted_payout[]) with ordinality as given (
        book, operation_id, step, kind,
        id, suffix, external_id, source_country, currency, amount, fee, description, metadata,
        created_at, reference, expires_at, token_hash, return_url, cancel_url, if_delayed,
        queue_minutes, place
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
    select places, ids, post($1, $2, $3, $4, $5, $6, $7, places, 'already_used') as verdicts
    from taken
),

fresh as materialized (
    select wanted.*
    from posted, wanted
    where posted.verdicts[wanted.place] is null
),

instructed as (
    insert into instructions (
        application_id, environment, id, type, claimed_external_id, reference, status,
        next_action, due_at, choice, earlier_attempts
    )
    select
        application_id, environment, id, type, external_id, reference, 'PENDING',
        'choose', expires_at, 0, 0
    from fresh
),

recorded as (
    insert into payouts (
        application_id, environment,
        id, suffix, external_id, source_country, currency, amount, fee, description, metadata,
        created_at, expires_at, if_delayed, queue_minutes
    )
    select
        application_id, environment,
        id, suffix, external_id, source_country, currency, amount, fee, description, metadata,
        created_at, expires_at, if_delayed, queue_minutes
    from fresh
),

opened as (
    insert into gateways (
        application_id, environment, id, type, token_hash, return_url, cancel_url
    )
    select application_id, environment, id, type, token_hash, return_url, cancel_url from fresh
)

select verdicts, places, ids from posted;

-- name: of_ids
-- The payouts of a batch of claims, with their progress.
select payouts.*, payouts.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at, instructions.connector, instructions.choice,
    instructions.queue_until,
    choices.provider as chosen_provider, choices.country as chosen_country,
    choices.phone_number as chosen_phone_number,
    choices.payout_currency as chosen_payout_currency,
    choices.payout_amount as chosen_payout_amount, choices.rate as chosen_rate,
    choices.rate_source as chosen_rate_source, choices.rate_as_of as chosen_rate_as_of,
    choices.rate_margin_bps as chosen_rate_margin_bps
from unnest($1::uuid[], $2::environment[], $3::uuid[]) as wanted (application_id, environment, id)
join payouts using (application_id, environment, id)
join instructions using (application_id, environment, id)
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice;

-- name: list
-- A page of a book's payouts, newest first. A country is the wallet's or the beneficiary's.
select payouts.*, payouts.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at, instructions.connector, instructions.choice,
    instructions.queue_until,
    choices.provider as chosen_provider, choices.country as chosen_country,
    choices.phone_number as chosen_phone_number,
    choices.payout_currency as chosen_payout_currency,
    choices.payout_amount as chosen_payout_amount, choices.rate as chosen_rate,
    choices.rate_source as chosen_rate_source, choices.rate_as_of as chosen_rate_as_of,
    choices.rate_margin_bps as chosen_rate_margin_bps
from payouts
join instructions using (application_id, environment, id)
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice
where payouts.application_id = $1 and payouts.environment = $2
    and ($3::text is null or payouts.external_id = $3)
    and ($4::text is null or instructions.status = $4::instruction_status)
    and ($5::text is null or payouts.source_country = $5
        or coalesce(payouts.country, choices.country) = $5)
    and ($6::text is null or coalesce(payouts.provider, choices.provider) = $6)
    and ($7::timestamptz is null or payouts.created_at >= $7)
    and ($8::timestamptz is null or payouts.created_at < $8)
    and ($9::uuid is null or payouts.id >= $9)
    and ($10::uuid is null or payouts.id < $10)
order by payouts.id desc
limit $11;

-- name: crossings
-- What was paid from country to country by the newest $5 payouts since a moment, and how many were read.
with newest as materialized (
    select
        application_id, environment, id, source_country, currency, amount,
        country, payout_currency, payout_amount
    from payouts
    where application_id = $1 and environment = $2 and id >= $3 and created_at >= $4
    order by id desc
    limit $5
),

-- Looked up by their keys first: with the status in the same part, an index of all that was ever paid
-- would do as well to a planner that knows of no rows yet.
followed as materialized (
    select newest.*, instructions.status, instructions.choice
    from newest
    join instructions using (application_id, environment, id)
),

paid as (
    select
        followed.source_country, followed.currency as source_currency, followed.amount,
        coalesce(followed.country, choices.country) as destination_country,
        coalesce(followed.payout_currency, choices.payout_currency) as destination_currency,
        coalesce(followed.payout_amount, choices.payout_amount) as payout_amount
    from followed
    left join choices
        on choices.application_id = followed.application_id
        and choices.environment = followed.environment
        and choices.id = followed.id
        and choices.number = followed.choice
    where followed.status = 'COMPLETED'
)

select
    source_country, source_currency, destination_country, destination_currency,
    count(*) as count, sum(amount)::bigint as departed, sum(payout_amount)::bigint as arrived,
    (select count(*) from newest) as read
from paid
where source_country <> destination_country
group by source_country, source_currency, destination_country, destination_currency
order by source_country, destination_country;

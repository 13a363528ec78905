-- name: write
-- Record a batch of payments, each with its instruction, due at once. Nothing is posted yet.
with wanted as materialized (
    -- Apart, so that the type is a part of the key that is looked up: as a constant it would be a
    -- reason to read all that there is of it, whenever the last ANALYZE has seen little of it.
    select
        (($2::post_book[])[book]).application_id, (($2::post_book[])[book]).environment,
        'DEPOSIT' as type,
        id, suffix, external_id, provider, country, phone_number, currency, amount, fee,
        customer_name, customer_email, description, metadata, created_at,
        reference, place
    from unnest($3::post_order[], $4::new_payment[]) with ordinality as given (
        book, operation_id, step, kind,
        id, suffix, external_id, provider, country, phone_number, currency, amount, fee,
        customer_name, customer_email, description, metadata, created_at,
        reference, place
    )
),

taken as materialized (
    select
        array_agg(wanted.place::int) as places, array_agg(instructions.id) as ids
    from wanted
    join instructions
        on instructions.application_id = wanted.application_id
        and instructions.environment = wanted.environment
        and instructions.type = wanted.type
        and instructions.claimed_external_id = wanted.external_id
),

decided as materialized (
    select
        places, ids,
        array(
            select case when place = any(places) then 'already_used' end
            from generate_series(1, cardinality($4)) as place
        ) as verdicts
    from taken
),

fresh as materialized (
    select wanted.*
    from decided, wanted
    where decided.verdicts[wanted.place] is null
    -- In one order, so that two batches with the same externalIds cannot deadlock.
    order by application_id, environment, external_id
),

instructed as (
    insert into instructions (
        application_id, environment, id, type, claimed_external_id, reference, provider,
        phone_number, currency, amount, status, next_action, due_at
    )
    select
        application_id, environment, id, type, external_id, reference, provider,
        phone_number, currency, amount, 'PENDING', 'submit', $1
    from fresh
),

recorded as (
    insert into payments (
        application_id, environment,
        id, suffix, external_id, provider, country, phone_number, currency, amount, fee,
        customer_name, customer_email, description, metadata, created_at
    )
    select
        application_id, environment,
        id, suffix, external_id, provider, country, phone_number, currency, amount, fee,
        customer_name, customer_email, description, metadata, created_at
    from fresh
)

select verdicts, places, ids from decided;

-- name: write_hosted
-- Record a payment and its page, unless its externalId is taken. Answers with the one that has it.
with taken as materialized (
    select id
    from instructions
    where application_id = $1 and environment = $2 and type = 'DEPOSIT' and claimed_external_id = $5
),

instructed as (
    insert into instructions (
        application_id, environment, id, type, claimed_external_id, reference, currency, amount,
        status, next_action, due_at, choice, earlier_attempts
    )
    select $1, $2, $3, 'DEPOSIT', $5, $14, $6, $7, 'PENDING', 'choose', $15, 0, 0
    where not exists (select from taken)
    on conflict on constraint instructions_external_id_key do nothing
    returning application_id, environment, id
),

recorded as (
    insert into payments (
        application_id, environment,
        id, suffix, external_id, currency, amount, fee,
        customer_name, customer_email, description, metadata, created_at, expires_at
    )
    select
        application_id, environment,
        id, $4, $5, $6, $7, $8,
        $9, $10, $11, $12, $13, $15
    from instructed
),

opened as (
    insert into gateways (
        application_id, environment, id, type, token_hash, return_url, cancel_url
    )
    select application_id, environment, id, 'DEPOSIT', $16, $17, $18 from instructed
)

select id from instructed
union all
select id from taken;

-- name: of_ids
-- The payments of a batch of claims, with their progress.
select payments.*, payments.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at, instructions.connector, instructions.choice,
    choices.provider as chosen_provider, choices.country as chosen_country,
    choices.phone_number as chosen_phone_number
from unnest($1::uuid[], $2::environment[], $3::uuid[]) as wanted (application_id, environment, id)
join payments using (application_id, environment, id)
join instructions using (application_id, environment, id)
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice;

-- name: list
-- A page of a book's payments, newest first.
select payments.*, payments.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at, instructions.connector, instructions.choice,
    choices.provider as chosen_provider, choices.country as chosen_country,
    choices.phone_number as chosen_phone_number
from payments
join instructions using (application_id, environment, id)
left join choices
    on choices.application_id = instructions.application_id
    and choices.environment = instructions.environment
    and choices.id = instructions.id
    and choices.number = instructions.choice
where payments.application_id = $1 and payments.environment = $2
    and ($3::text is null or payments.external_id = $3)
    and ($4::text is null or instructions.status = $4::instruction_status)
    and ($5::text is null or coalesce(payments.country, choices.country) = $5)
    and ($6::text is null or coalesce(payments.provider, choices.provider) = $6)
    and ($7::timestamptz is null or payments.created_at >= $7)
    and ($8::timestamptz is null or payments.created_at < $8)
    and ($9::uuid is null or payments.id >= $9)
    and ($10::uuid is null or payments.id < $10)
order by payments.id desc
limit $11;

-- name: list
-- A page of a book's transactions of every noun, newest first: which they are, by their identifiers.
(
    select 'payment' as noun, payments.id
    from payments
    join instructions using (application_id, environment, id)
    left join choices
        on choices.application_id = instructions.application_id
        and choices.environment = instructions.environment
        and choices.id = instructions.id
        and choices.number = instructions.choice
    where payments.application_id = $1 and payments.environment = $2
        and ($3::text is null or $3 = 'payment')
        and ($4::text is null or instructions.status = $4::instruction_status)
        and ($5::text is null or coalesce(payments.country, choices.country) = $5)
        and ($6::timestamptz is null or payments.created_at >= $6)
        and ($7::timestamptz is null or payments.created_at < $7)
        and ($8::uuid is null or payments.id >= $8)
        and ($9::uuid is null or payments.id < $9)
        and ($10::uuid is null or payments.id = $10)
        and ($11::text is null or payments.suffix = $11)
        and ($12::text is null or payments.external_id = $12)
        and ($13::text is null or payments.phone_number = $13)
        and ($14::text is null or choices.phone_number = $14)
    order by payments.id desc
    limit $15
)
union all
(
    select 'payout', payouts.id
    from payouts
    join instructions using (application_id, environment, id)
    left join choices
        on choices.application_id = instructions.application_id
        and choices.environment = instructions.environment
        and choices.id = instructions.id
        and choices.number = instructions.choice
    where payouts.application_id = $1 and payouts.environment = $2
        and ($3::text is null or $3 = 'payout')
        and ($4::text is null or instructions.status = $4::instruction_status)
        and (
            $5::text is null or payouts.source_country = $5
            or coalesce(payouts.country, choices.country) = $5
        )
        and ($6::timestamptz is null or payouts.created_at >= $6)
        and ($7::timestamptz is null or payouts.created_at < $7)
        and ($8::uuid is null or payouts.id >= $8)
        and ($9::uuid is null or payouts.id < $9)
        and ($10::uuid is null or payouts.id = $10)
        and ($11::text is null or payouts.suffix = $11)
        and ($12::text is null or payouts.external_id = $12)
        and ($13::text is null or payouts.phone_number = $13)
        and ($14::text is null or choices.phone_number = $14)
    order by payouts.id desc
    limit $15
)
union all
(
    select 'refund', refunds.id
    from refunds
    join instructions using (application_id, environment, id)
    where refunds.application_id = $1 and refunds.environment = $2
        and ($3::text is null or $3 = 'refund')
        and ($4::text is null or instructions.status = $4::instruction_status)
        and ($5::text is null or refunds.country = $5)
        and ($6::timestamptz is null or refunds.created_at >= $6)
        and ($7::timestamptz is null or refunds.created_at < $7)
        and ($8::uuid is null or refunds.id >= $8)
        and ($9::uuid is null or refunds.id < $9)
        and ($10::uuid is null or refunds.id = $10)
        and ($11::text is null or refunds.suffix = $11)
        and ($12::text is null or refunds.external_id = $12)
        and ($13::text is null or refunds.phone_number = $13)
        -- Where a refund goes is chosen nowhere.
        and $14::text is null
    order by refunds.id desc
    limit $15
)
union all
(
    select 'transfer', transfers.id
    from transfers
    where transfers.application_id = $1 and transfers.environment = $2
        and ($3::text is null or $3 = 'transfer')
        -- A transfer is completed as soon as it is there, and is nobody's telephone's.
        and ($4::text is null or $4 = 'COMPLETED')
        and (
            $5::text is null or transfers.source_country = $5
            or transfers.destination_country = $5
        )
        and ($6::timestamptz is null or transfers.created_at >= $6)
        and ($7::timestamptz is null or transfers.created_at < $7)
        and ($8::uuid is null or transfers.id >= $8)
        and ($9::uuid is null or transfers.id < $9)
        and ($10::uuid is null or transfers.id = $10)
        -- Looked through, newest first, so only where the text can be nothing else.
        and ($11::text is null or ($3 = 'transfer' and transfers.suffix = $11))
        and ($12::text is null or transfers.external_id = $12)
        and $13::text is null
        and $14::text is null
    order by transfers.id desc
    limit $15
)
order by id desc
limit $15;

-- name: instruction
-- How far a rail is with one operation, and when it is spoken to next.
select reference, next_action, attempts, due_at, currency, amount, queue_until
from instructions
where application_id = $1 and environment = $2 and id = $3;

-- name: choices
-- What was chosen on an operation's hosted page, each time, oldest first.
select number, provider, country, phone_number, at
from choices
where application_id = $1 and environment = $2 and id = $3
order by number;

-- name: entries
-- The entries of one operation, in the order in which they were posted.
select step, number, kind, at
from entries
where application_id = $1 and environment = $2 and operation_id = $3
order by step;

-- name: lines
-- The lines of entries of one operation, each by its account and the moment of its entry.
select
    wanted.step, postings.account, postings.currency, postings.amount, postings.balance_after
from unnest($4::smallint[], $5::timestamptz[], $6::text[]) with ordinality
    as wanted (step, at, account, place)
cross join lateral (
    -- How many lines the account has of before that moment: halved until it is found, as within a
    -- book time never goes backwards. An account's lines have no index of their operations.
    with recursive search as (
        select 0::bigint as low, version as high
        from accounts
        where accounts.application_id = $1 and accounts.environment = $2
            and accounts.code = wanted.account
        union all
        select
            case when middle.at < wanted.at then middle.version else low end,
            case when middle.at < wanted.at then high else middle.version - 1 end
        from search
        cross join lateral (
            select version, at
            from postings
            where postings.application_id = $1 and postings.environment = $2
                and postings.account = wanted.account
                and postings.version = (low + high + 1) / 2
            limit 1
        ) as middle
        where low < high
    )

    select low from search where low = high
) as behind
cross join lateral (
    -- What was posted in that moment, which is no more than one flush.
    select account, currency, amount, balance_after
    from postings
    where postings.application_id = $1 and postings.environment = $2
        and postings.account = wanted.account and postings.version > behind.low
        and postings.operation_id = $3 and postings.step = wanted.step
    order by postings.version
    limit 1
) as postings
order by wanted.place;

-- name: event
-- The event that tells a merchant how an operation ended.
select id
from events
where application_id = $1 and environment = $2 and operation_id = $3;

-- name: newest
-- How far some books have come: their entries, their latest payment and their latest event.
select
    journals.application_id, journals.environment::text, journals.entries,
    payment.id as payment, event.id as event
from unnest($1::uuid[], $2::environment[]) as wanted (application_id, environment)
join journals using (application_id, environment)
left join lateral (
    select payments.id
    from payments
    where payments.application_id = journals.application_id
        and payments.environment = journals.environment
    order by payments.id desc
    limit 1
) as payment on true
left join lateral (
    select events.id
    from events
    where events.application_id = journals.application_id
        and events.environment = journals.environment
    order by events.id desc
    limit 1
) as event on true;

-- name: states
-- Where some operations stand, and their webhooks.
select
    instructions.application_id, instructions.environment::text, instructions.id,
    instructions.status::text, instructions.attempts, instructions.due_at,
    deliveries.status as delivery_status, deliveries.attempts as delivery_attempts,
    deliveries.due_at as delivery_due_at
from unnest($1::uuid[], $2::environment[], $3::uuid[]) as wanted (application_id, environment, id)
join instructions using (application_id, environment, id)
left join events
    on events.application_id = instructions.application_id
    and events.environment = instructions.environment
    and events.operation_id = instructions.id
left join deliveries
    on deliveries.application_id = events.application_id
    and deliveries.environment = events.environment
    and deliveries.id = events.id;

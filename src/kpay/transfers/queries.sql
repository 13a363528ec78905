-- name: write
-- Record a batch of transfers and post their entries: all of each, or nothing and why.
with wanted as materialized (
    select
        (($2::post_book[])[book]).application_id, (($2::post_book[])[book]).environment,
        id, destination_id, suffix, external_id,
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount,
        (($9::quote[])[quote]).rate, (($9::quote[])[quote]).source as rate_source,
        (($9::quote[])[quote]).as_of as rate_as_of,
        (($9::quote[])[quote]).margin_bps as rate_margin_bps,
        description, created_at, place
    from unnest($4::post_order[], $8::new_transfer[]) with ordinality as given (
        book, operation_id, step, kind, id, destination_id, suffix, external_id,
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount,
        description, created_at, quote, place
    )
),

taken as materialized (
    select array_agg(wanted.place::int) as places, array_agg(transfers.id) as ids
    from wanted
    join transfers using (application_id, environment, external_id)
),

posted as materialized (
    select places, ids, post($1, $2, $3, $4, $5, $6, $7, places, 'already_used') as verdicts
    from taken
),

recorded as (
    insert into transfers (
        application_id, environment, id, destination_id, suffix, external_id,
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount,
        rate, rate_source, rate_as_of, rate_margin_bps, description, created_at
    )
    select
        application_id, environment, id, destination_id, suffix, external_id,
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount,
        rate, rate_source, rate_as_of, rate_margin_bps, description, created_at
    -- Two batches with the same externalIds cannot deadlock: `post` has locked their books.
    from posted, wanted
    where posted.verdicts[wanted.place] is null
)

select verdicts, places, ids from posted;

-- name: find
-- One transfer of a book.
select *, environment::text
from transfers
where application_id = $1 and environment = $2 and id = $3;

-- name: of_ids
-- The transfers of a book with these identifiers.
select transfers.*, transfers.environment::text
from unnest($3::uuid[]) as wanted (id)
join transfers using (id)
where application_id = $1 and environment = $2;

-- name: list
-- A page of a book's transfers, newest first. A country matches either side.
select *, environment::text
from transfers
where application_id = $1 and environment = $2
    and ($3::text is null or external_id = $3)
    and ($4::text is null or source_country = $4 or destination_country = $4)
    and ($5::timestamptz is null or created_at >= $5)
    and ($6::timestamptz is null or created_at < $6)
    and ($7::uuid is null or id >= $7)
    and ($8::uuid is null or id < $8)
order by id desc
limit $9;

-- name: crossings
-- What went from country to country by the newest $5 transfers since a moment, and how many were read.
with newest as materialized (
    select
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount
    from transfers
    where application_id = $1 and environment = $2 and id >= $3 and created_at >= $4
    order by id desc
    limit $5
)

select
    source_country, source_currency, destination_country, destination_currency,
    count(*) as count, sum(source_amount)::bigint as departed, sum(destination_amount)::bigint as arrived,
    (select count(*) from newest) as read
from newest
group by source_country, source_currency, destination_country, destination_currency
order by source_country, destination_country;

-- name: write
-- Record a batch of transfers and post their entries: all of each, or nothing and why.
with taken as materialized (
    select array_agg(wanted.place::int) as places, array_agg(transfers.id) as ids
    from unnest($7::new_transfer[]) with ordinality as wanted (
        application_id, environment, id, destination_id, suffix, external_id,
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount,
        rate, rate_source, rate_as_of, rate_margin_bps, description, created_at, place
    )
    join transfers using (application_id, environment, external_id)
),

posted as materialized (
    select places, ids, post($1, $2, $3, $4, $5, $6, places, 'already_used') as verdicts
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
    from posted, unnest($7::new_transfer[], posted.verdicts) as fresh (
        application_id, environment, id, destination_id, suffix, external_id,
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount,
        rate, rate_source, rate_as_of, rate_margin_bps, description, created_at, verdict
    )
    where verdict is null
    -- In one order, so that two batches with the same externalIds cannot deadlock.
    order by application_id, environment, external_id
)

select verdicts, places, ids from posted;

-- name: find
-- One transfer of a book.
select *, environment::text
from transfers
where application_id = $1 and environment = $2 and id = $3;

-- name: list
-- A page of a book's transfers, newest first. A country matches either side.
select *, environment::text
from transfers
where application_id = $1 and environment = $2
    and ($3::text is null or external_id = $3)
    and ($4::text is null or source_country = $4 or destination_country = $4)
    and ($5::timestamptz is null or created_at >= $5)
    and ($6::timestamptz is null or created_at < $6)
    and ($7::uuid is null or id < $7)
order by id desc
limit $8;

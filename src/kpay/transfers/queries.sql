-- name: write
-- Record a batch of transfers and post their entries: all of each, or nothing and why.
with taken as materialized (
    select array_agg(wanted.position::int) as positions, array_agg(transfers.id) as ids
    from unnest($7::int[], $16::text[]) with ordinality as wanted (book, external_id, position)
    join transfers
        on transfers.application_id = ($2::uuid[])[wanted.book]
        and transfers.environment = ($3::environment[])[wanted.book]
        and transfers.external_id = wanted.external_id
),

posted as materialized (
    select
        positions, ids,
        post(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, positions, 'already_used'
        ) as verdicts
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
        ($2::uuid[])[fresh.book], ($3::environment[])[fresh.book], fresh.id, fresh.destination_id,
        fresh.suffix, fresh.external_id,
        fresh.source_country, fresh.source_currency, fresh.source_amount,
        fresh.destination_country, fresh.destination_currency, fresh.destination_amount,
        fresh.rate, fresh.rate_source, fresh.rate_as_of, fresh.rate_margin_bps,
        fresh.description, fresh.created_at
    from posted, unnest(
        $7::int[], $8::uuid[], $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[],
        $19::bigint[], $20::text[], $21::text[], $22::bigint[], $23::numeric[], $24::text[],
        $25::timestamptz[], $26::int[], $27::text[], $28::timestamptz[], posted.verdicts
    ) as fresh (
        book, id, destination_id, suffix, external_id,
        source_country, source_currency, source_amount,
        destination_country, destination_currency, destination_amount,
        rate, rate_source, rate_as_of, rate_margin_bps, description, created_at, verdict
    )
    where fresh.verdict is null
    -- In one order, so that two batches with the same externalIds cannot deadlock.
    order by fresh.book, fresh.external_id
)

select verdicts, positions, ids from posted;

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

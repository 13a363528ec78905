-- name: taken
-- The transfers that already use some of these externalIds.
select wanted.position, transfers.id
from unnest($1::int[], $2::uuid[], $3::environment[], $4::text[])
    as wanted (position, application_id, environment, external_id)
join transfers using (application_id, environment, external_id);

-- name: insert
-- Record a batch of transfers, in the order of their externalId so that batches cannot deadlock.
insert into transfers (
    application_id, environment, id, destination_id, suffix, external_id, source_country,
    source_currency, source_amount, destination_country, destination_currency, destination_amount,
    rate, rate_source, rate_as_of, rate_margin_bps, description, created_at
)
select *
from unnest(
    $1::uuid[], $2::environment[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::bigint[], $10::text[], $11::text[], $12::bigint[],
    $13::numeric[], $14::text[], $15::timestamptz[], $16::int[], $17::text[], $18::timestamptz[]
) as transfer
order by 1, 2, 6;

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

-- name: insert
-- Record a batch of payouts as they were agreed.
insert into payouts (
    application_id, environment, id, suffix, external_id, source_country, currency, amount, fee,
    provider, country, phone_number, payout_currency, payout_amount, rate, rate_source, rate_as_of,
    rate_margin_bps, description, metadata, created_at
)
select *
from unnest(
    $1::uuid[], $2::environment[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[],
    $15::numeric[], $16::text[], $17::timestamptz[], $18::int[], $19::text[], $20::jsonb[],
    $21::timestamptz[]
) as payout
order by 1, 2, 4;

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

-- name: insert
-- Record a batch of payments as they were asked for.
insert into payments (
    application_id, environment, id, suffix, external_id, provider, country, phone_number, currency,
    amount, fee, customer_name, customer_email, description, metadata, created_at
)
select *
from unnest(
    $1::uuid[], $2::environment[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[],
    $15::jsonb[], $16::timestamptz[]
) as payment
order by 1, 2, 4;

-- name: of_ids
-- The payments of a batch of claims, with their progress.
select payments.*, payments.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at
from unnest($1::uuid[], $2::environment[], $3::uuid[]) as wanted (application_id, environment, id)
join payments using (application_id, environment, id)
join instructions using (application_id, environment, id);

-- name: list
-- A page of a book's payments, newest first.
select payments.*, payments.environment::text as book_environment,
    instructions.reference, instructions.status::text, instructions.failure_code,
    instructions.ended_at
from payments
join instructions using (application_id, environment, id)
where payments.application_id = $1 and payments.environment = $2
    and ($3::text is null or payments.external_id = $3)
    and ($4::text is null or instructions.status = $4::instruction_status)
    and ($5::text is null or payments.country = $5)
    and ($6::text is null or payments.provider = $6)
    and ($7::timestamptz is null or payments.created_at >= $7)
    and ($8::timestamptz is null or payments.created_at < $8)
    and ($9::uuid is null or payments.id < $9)
order by payments.id desc
limit $10;

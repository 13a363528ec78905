-- name: open_accounts
-- Make room for accounts that nothing was posted to yet; those that exist stay as they are.
select open_accounts($1, $2, $3, $4);

-- name: hold_attempts
-- Lock the keys of these attempts, in one order, where they are the last and not answered; how many.
with held as materialized (
    select kept.key
    from unnest($1::uuid[], $2::environment[], $3::text[], $4::int[])
        as wanted (application_id, environment, key, attempt)
    join idempotency_keys as kept
        on kept.application_id = wanted.application_id
        and kept.environment = wanted.environment
        and kept.key = wanted.key
    where kept.attempt = wanted.attempt and kept.status is null
    order by kept.application_id, kept.environment, kept.key
    for share of kept
)

select count(*) from held;

-- name: span
-- From when to when there are entries or postings, and how many entries.
select
    least((select min(at) from entries), (select min(at) from postings)) as oldest,
    greatest((select max(at) from entries), (select max(at) from postings)) as newest,
    (select count(*) from entries) as entries;

-- name: count
-- How many entries a window of time holds.
select count(*) from entries where at > $1 and at <= $2;

-- name: heads
-- The last entry of each book in a window of time.
select distinct on (application_id, environment) application_id, environment::text, number, hash
from entries
where at > $1 and at <= $2
order by application_id, environment, number desc;

-- name: ends
-- Where each journal ends, as its head says.
select application_id, environment::text, entries as number, hash
from journals
where entries > 0
order by application_id, environment;

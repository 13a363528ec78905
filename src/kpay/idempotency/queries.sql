-- name: claim
-- Begin an attempt at a request: its first, or the next when the last one let go or took too long.
insert into idempotency_keys as held (
    application_id, environment, key, fingerprint, operation_id, attempt, held_until, created_at
)
values ($1, $2, $3, $4, $5, 1, $7, $6)
on conflict on constraint idempotency_keys_pkey do update
set attempt = held.attempt + 1, held_until = excluded.held_until
where held.fingerprint = excluded.fingerprint and held.status is null and held.held_until <= $6
returning attempt, operation_id;

-- name: find
-- What there is of a key.
select fingerprint, operation_id, status, body
from idempotency_keys
where application_id = $1 and environment = $2 and key = $3;

-- name: keep
-- Record the answer of an attempt, once, and only while it is the last.
update idempotency_keys
set status = $5, body = $6
where application_id = $1 and environment = $2 and key = $3
    and attempt = $4 and status is null;

-- name: release
-- An attempt came to no answer: the next one need not wait.
update idempotency_keys
set held_until = $5
where application_id = $1 and environment = $2 and key = $3
    and attempt = $4 and status is null;

-- name: sweep
-- Forget the oldest keys of before a moment.
delete from idempotency_keys
where ctid = any(array(
    select ctid
    from idempotency_keys
    where created_at < $1
    order by created_at
    limit $2
    for update skip locked
));

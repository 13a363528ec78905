-- name: insert
-- Record events, in the transaction of what caused them.
insert into events (application_id, environment, type, operation_id, at)
select *
from unnest($1::uuid[], $2::environment[], $3::text[], $4::uuid[], $5::timestamptz[]) as event
order by 1, 2, 4;

-- name: list
-- A page of a book's events, newest first.
select id, type, operation_id, at
from events
where application_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
order by id desc
limit $4;

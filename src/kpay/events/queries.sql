-- name: list
-- A page of a book's events, newest first.
select id, type, operation_id, at
from events
where application_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
order by id desc
limit $4;

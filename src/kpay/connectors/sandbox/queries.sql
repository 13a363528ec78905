-- name: decide
-- Decide how an operation of the sandbox ends; deciding again changes nothing.
insert into sandbox_verdicts (application_id, environment, reference, outcome, failure_code)
values ($1, $2, $3, $4, $5)
on conflict on constraint sandbox_verdicts_pkey do nothing;

-- name: verdict
-- How somebody decided that an operation ends.
select outcome, failure_code
from sandbox_verdicts
where application_id = $1 and environment = $2 and reference = $3;

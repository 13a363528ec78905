-- name: find
-- The page that a token opens.
select application_id, environment::text, id, type, return_url, cancel_url
from gateways
where token_hash = $1;

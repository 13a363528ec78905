-- name: open_accounts
-- Make room for accounts that nothing was posted to yet; those that exist stay as they are.
insert into accounts (application_id, environment, code, currency)
select *
from unnest($1::uuid[], $2::environment[], $3::text[], $4::text[])
order by 1, 2, 3
on conflict on constraint accounts_pkey do nothing;

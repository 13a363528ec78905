-- name: open_accounts
-- Make room for accounts that nothing was posted to yet; those that exist stay as they are.
insert into accounts (application_id, environment, code, currency)
select *
from unnest($1::uuid[], $2::environment[], $3::text[], $4::text[])
order by 1, 2, 3
on conflict on constraint accounts_pkey do nothing;

-- name: lock_accounts
-- Lock the accounts of a batch, always in the order of their key: two batches cannot deadlock.
select accounts.application_id, accounts.environment::text, accounts.code,
    accounts.currency, accounts.balance, accounts.version
from unnest($1::uuid[], $2::environment[], $3::text[])
    as wanted (application_id, environment, code)
join accounts using (application_id, environment, code)
order by accounts.application_id, accounts.environment, accounts.code
for update of accounts;

-- name: write_entries
-- Write the entries of a batch: entries, new balances, and postings, which the triggers check.
with new_entries as (
    insert into entries (application_id, environment, operation_id, step, kind, at)
    select entry.*, $6::timestamptz
    from unnest($1::uuid[], $2::environment[], $3::uuid[], $4::smallint[], $5::text[]) as entry
),

moved as (
    update accounts
    set balance = state.balance, version = state.version
    from unnest($7::uuid[], $8::environment[], $9::text[], $10::bigint[], $11::bigint[])
        as state (application_id, environment, code, balance, version)
    where accounts.application_id = state.application_id
        and accounts.environment = state.environment
        and accounts.code = state.code
)

insert into postings (
    application_id, environment, operation_id, step, account, currency,
    amount, balance_after, version, at
)
select line.*, $6::timestamptz
from unnest(
    $12::uuid[], $13::environment[], $14::uuid[], $15::smallint[], $16::text[], $17::text[],
    $18::bigint[], $19::bigint[], $20::bigint[]
) as line;

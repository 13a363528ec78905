-- name: balances_recomputed
-- 1. Every account stands where its last posting ends; with unbroken chains that is their sum.
select
    accounts.application_id, accounts.environment::text, accounts.code, accounts.balance,
    coalesce(last.balance_after, 0) as recomputed
from accounts
left join lateral (
    select balance_after, version
    from postings
    where postings.application_id = accounts.application_id
        and postings.environment = accounts.environment
        and postings.account = accounts.code
    order by version desc
    limit 1
) as last on true
where accounts.balance <> coalesce(last.balance_after, 0)
    or accounts.version <> coalesce(last.version, 0);

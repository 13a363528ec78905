-- name: entries_balance
-- 2. In every entry each currency sums to zero.
select application_id, environment::text, operation_id, step, currency, sum(amount) as off_by
from postings
group by application_id, environment, operation_id, step, currency
having sum(amount) <> 0;

-- name: balances_recomputed
-- 1. Every account's balance is the sum of its postings, and its version their number.
select
    accounts.application_id, accounts.environment::text, accounts.code, accounts.balance,
    coalesce(lines.total, 0) as recomputed
from accounts
left join (
    select application_id, environment, account, sum(amount) as total, count(*) as lines
    from postings
    group by application_id, environment, account
) as lines
    on lines.application_id = accounts.application_id
    and lines.environment = accounts.environment
    and lines.account = accounts.code
where accounts.balance <> coalesce(lines.total, 0)
    or accounts.version <> coalesce(lines.lines, 0);

-- name: chains_unbroken
-- 1. Each posting continues its account's chain: the balance before it, its amount, the balance after.
select application_id, environment::text, account, version, balance_after
from (
    select
        application_id, environment, account, version, amount, balance_after,
        lag(version, 1, 0::bigint) over chain as version_before,
        lag(balance_after, 1, 0::bigint) over chain as balance_before
    from postings
    window chain as (partition by application_id, environment, account order by version)
) as line
where version <> version_before + 1 or balance_after <> balance_before + amount;

-- name: floors_hold
-- 3. No wallet and no reserved account is, or ever was, below zero.
select application_id, environment::text, account, version, balance_after
from postings
where balance_after < 0 and (left(account, 7) = 'wallet:' or left(account, 9) = 'reserved:');

-- name: accounts_known
-- 2. Every posting is on an account of its own currency.
select postings.application_id, postings.environment::text, postings.account, postings.version
from postings
left join accounts
    on accounts.application_id = postings.application_id
    and accounts.environment = postings.environment
    and accounts.code = postings.account
where accounts.currency is distinct from postings.currency;

-- name: entries_whole
-- 4. Every entry has its postings and every posting its entry.
select
    coalesce(entries.application_id, lines.application_id) as application_id,
    coalesce(entries.operation_id, lines.operation_id) as operation_id,
    coalesce(entries.step, lines.step) as step
from entries
full join (
    select distinct application_id, environment, operation_id, step from postings
) as lines using (application_id, environment, operation_id, step)
where entries.kind is null or lines.application_id is null;

-- name: closings_have_openings
-- 5. Nothing is closed that was not opened.
select closing.application_id, closing.environment::text, closing.operation_id, closing.kind
from entries as closing
left join entries as opening
    on opening.application_id = closing.application_id
    and opening.environment = closing.environment
    and opening.operation_id = closing.operation_id
    and opening.step = 1
where closing.step = 2 and opening.kind is null;

-- name: entries_balance
-- 2. In every entry each currency sums to zero.
select application_id, environment::text, operation_id, step, currency, sum(amount) as off_by
from postings
where at > $1 and at <= $2
group by application_id, environment, operation_id, step, currency
having sum(amount) <> 0;

-- name: chains_unbroken
-- 1. Each posting continues its account's chain: the balance before it, its amount, the balance after.
select application_id, environment::text, account, version, balance_after
from (
    select
        application_id, environment, account, version, amount, balance_after,
        -- The first of an account in this window continues what an earlier one left.
        coalesce(
            lag(version) over chain,
            (
                select earlier.version from postings as earlier
                where earlier.application_id = postings.application_id
                    and earlier.environment = postings.environment
                    and earlier.account = postings.account
                    and earlier.version = postings.version - 1
            ),
            0
        ) as version_before,
        coalesce(
            lag(balance_after) over chain,
            (
                select earlier.balance_after from postings as earlier
                where earlier.application_id = postings.application_id
                    and earlier.environment = postings.environment
                    and earlier.account = postings.account
                    and earlier.version = postings.version - 1
            ),
            0
        ) as balance_before
    from postings
    where at > $1 and at <= $2
    window chain as (partition by application_id, environment, account order by version)
) as line
where version <> version_before + 1 or balance_after <> balance_before + amount;

-- name: floors_hold
-- 3. No wallet and no reserved account is, or ever was, below zero.
select application_id, environment::text, account, version, balance_after
from postings
where at > $1 and at <= $2
    and balance_after < 0 and (left(account, 7) = 'wallet:' or left(account, 9) = 'reserved:');

-- name: accounts_known
-- 2. Every posting is on an account of its own currency.
select postings.application_id, postings.environment::text, postings.account, postings.version
from postings
left join accounts
    on accounts.application_id = postings.application_id
    and accounts.environment = postings.environment
    and accounts.code = postings.account
where postings.at > $1 and postings.at <= $2
    and accounts.currency is distinct from postings.currency;

-- name: entries_whole
-- 4. Every entry has its postings and every posting its entry.
select
    coalesce(entry.application_id, lines.application_id) as application_id,
    coalesce(entry.operation_id, lines.operation_id) as operation_id,
    coalesce(entry.step, lines.step) as step
from (select * from entries where at > $1 and at <= $2) as entry
full join (
    select distinct application_id, environment, operation_id, step
    from postings
    where at > $1 and at <= $2
) as lines using (application_id, environment, operation_id, step)
where entry.kind is null or lines.application_id is null;

-- name: closings_have_openings
-- 5. Nothing is closed that was not opened.
select application_id, environment::text, operation_id, kind
from entries as closing
where at > $1 and at <= $2 and step = 2
    and (
        select opening.kind from entries as opening
        where opening.application_id = closing.application_id
            and opening.environment = closing.environment
            and opening.operation_id = closing.operation_id
            and opening.step = 1
    ) is null;

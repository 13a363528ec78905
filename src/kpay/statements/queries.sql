-- name: standing
-- A wallet and what is reserved of it, as they stand now: one moment for both.
select code, currency, balance, version
from accounts
where application_id = $1 and environment = $2 and code in ($3, $4);

-- name: behind
-- How many lines of a chain, of its first $4, are of before a moment: halved until it is found.
with recursive search as (
    select 0::bigint as low, $4::bigint as high
    union all
    -- Within a book time never goes backwards, so a chain's lines are in the order of their moments.
    select
        case when middle.at < $5 then middle.version else low end,
        case when middle.at < $5 then high else middle.version - 1 end
    from search
    cross join lateral (
        select version, at
        from postings
        where application_id = $1 and environment = $2 and account = $3
            and version = (low + high + 1) / 2
        -- Looked up for each step: without the limit, all lines of a chain may be joined.
        limit 1
    ) as middle
    where low < high
)

select low from search where low = high;

-- name: around
-- The last line before a place in a chain and the first one after it.
select postings.version, postings.balance_after, entries.number
from postings
join entries using (application_id, environment, operation_id, step)
where application_id = $1 and environment = $2 and account = $3 and version between $4::bigint and $4::bigint + 1;

-- name: lines_onward
-- Lines of a chain after one place, up to another, oldest first.
select
    postings.version, postings.amount, postings.balance_after, postings.operation_id, postings.at,
    entries.number, entries.kind
from postings
join entries using (application_id, environment, operation_id, step)
where application_id = $1 and environment = $2 and account = $3
    and version > $4 and version <= $5
order by postings.version
limit $6;

-- name: lines_backward
-- Lines of a chain after one place, up to another, newest first.
select
    postings.version, postings.amount, postings.balance_after, postings.operation_id, postings.at,
    entries.number, entries.kind
from postings
join entries using (application_id, environment, operation_id, step)
where application_id = $1 and environment = $2 and account = $3
    and version > $4 and version <= $5
order by postings.version desc
limit $6;

-- name: moments_of
-- When the entries of some operations were posted, newest first.
select distinct entries.at
from unnest($3::uuid[]) as wanted (operation_id)
join entries using (operation_id)
where application_id = $1 and environment = $2
order by entries.at desc;

-- name: balances
-- What some accounts of a book held before each of some moments: all chains are halved side by side.
with recursive search as (
    select
        accounts.code as account, wanted.place, wanted.at as moment,
        0::bigint as low, accounts.version as high
    from accounts
    cross join unnest($4::timestamptz[]) with ordinality as wanted (at, place)
    where accounts.application_id = $1 and accounts.environment = $2
        and accounts.code = any($3::text[])
    union all
    -- As in `behind`: a chain's lines are in the order of their moments.
    select
        search.account, search.place, search.moment,
        case when middle.at < search.moment then middle.version else search.low end,
        case when middle.at < search.moment then search.high else middle.version - 1 end
    from search
    cross join lateral (
        select version, at
        from postings
        where application_id = $1 and environment = $2 and account = search.account
            and version = (search.low + search.high + 1) / 2
        limit 1
    ) as middle
    where search.low < search.high
)

select search.account, search.place, coalesce(line.balance_after, 0) as balance
from search
left join lateral (
    select balance_after
    from postings
    where application_id = $1 and environment = $2 and account = search.account
        and version = search.low
    limit 1
) as line on true
where search.low = search.high;

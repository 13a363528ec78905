-- name: standing
-- The newest snapshot of a configuration and its refresh: always one row, nulls for what is not.
select newest.source, newest.as_of, newest.fetched_at, newest.rates, newest.pairs,
       refresh.held_until, refresh.retry_at
from (select $1::text as configuration) as wanted
left join lateral (
    select source, as_of, fetched_at, rates, pairs
    from rate_snapshots
    where configuration = wanted.configuration and fetched_at <= $2::timestamptz
    order by fetched_at desc, id desc
    limit 1
) as newest on true
left join rate_refreshes as refresh on refresh.configuration = wanted.configuration;

-- name: claim
-- Take the right to ask the sources, unless another has it or all of them failed a moment ago.
insert into rate_refreshes as refresh (configuration, holder, held_until)
values ($1, $2::uuid, $3::timestamptz)
on conflict (configuration) do update
set holder = excluded.holder, held_until = excluded.held_until, retry_at = null
where (
    refresh.held_until is null
    or refresh.held_until not between $4::timestamptz and $5::timestamptz
) and (
    refresh.retry_at is null
    or refresh.retry_at not between $4::timestamptz and $5::timestamptz
)
returning true;

-- name: keep
-- Append a snapshot and give the claim back at once, so that whoever claims next sees it.
with released as (
    update rate_refreshes
    set holder = null, held_until = null, retry_at = null
    where configuration = $1 and holder = $2::uuid
)
insert into rate_snapshots (configuration, source, as_of, fetched_at, rates, pairs)
values ($1, $3, $4, $5, $6, $7);

-- name: release
-- Give the claim back; with a time, nobody asks again before it.
update rate_refreshes
set holder = null, held_until = null, retry_at = $3::timestamptz
where configuration = $1 and holder = $2::uuid;

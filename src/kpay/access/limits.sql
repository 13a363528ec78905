-- name: lease
-- Give a process its shares of several quotas; a window that is over begins anew. In one order, so
-- that two processes cannot deadlock.
insert into rate_windows as held (
    application_id, environment, bucket, subject, ends_at, quota, taken
)
select application_id, environment, bucket, subject, $2, quota, least(asked, quota)
from unnest($4::uuid[], $5::environment[], $6::text[], $7::uuid[], $8::int[], $9::int[])
    as wanted (application_id, environment, bucket, subject, quota, asked)
order by application_id, environment, bucket, subject
on conflict on constraint rate_windows_pkey do update
set
    ends_at = case
        when held.ends_at > $1 and held.ends_at <= $3 then held.ends_at else excluded.ends_at
    end,
    quota = excluded.quota,
    taken = case
        when held.ends_at > $1 and held.ends_at <= $3
        then held.taken + greatest(0, least(excluded.taken, excluded.quota - held.taken))
        else excluded.taken
    end
returning
    new.bucket, new.subject, new.ends_at,
    new.taken - case
        when old.ends_at > $1 and old.ends_at <= $3 then old.taken else 0
    end as granted,
    greatest(0, new.quota - new.taken) as rest;

-- name: sweep
-- Forget windows that were over before a moment.
delete from rate_windows
where ctid = any(array(
    select ctid
    from rate_windows
    where ends_at < $1
    limit $2
    for update skip locked
));

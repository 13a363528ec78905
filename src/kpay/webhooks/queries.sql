-- name: endpoints
-- The endpoints of a book, by topic.
select
    application_id, environment::text, topic, url, created_at, changed_at, failures, paused_since,
    pause_reason, probe_at
from webhook_endpoints
where application_id = $1 and environment = $2
order by array_position(array['generic', 'payments', 'payouts', 'refunds'], topic);

-- name: hold_endpoint
-- The endpoint of a topic, which nobody else changes until the transaction ends.
select
    application_id, environment::text, topic, url, created_at, changed_at, failures, paused_since,
    pause_reason, probe_at
from webhook_endpoints
where application_id = $1 and environment = $2 and topic = $3
for update;

-- name: set_endpoint
-- Set the URL of a topic; another URL begins with a clean slate.
insert into webhook_endpoints (application_id, environment, topic, url, created_at, changed_at)
values ($1, $2, $3, $4, $5, $5)
on conflict on constraint webhook_endpoints_pkey do update
set
    url = excluded.url, changed_at = excluded.changed_at, failures = 0, paused_since = null,
    pause_reason = null, probes = 0, probe_at = null
returning
    application_id, environment::text, topic, url, created_at, changed_at, failures, paused_since,
    pause_reason, probe_at;

-- name: remove_endpoint
-- Take a URL away, and with it what waits for it.
with removed as (
    delete from webhook_endpoints
    where application_id = $1 and environment = $2 and topic = $3
    returning
        application_id, environment::text, topic, url, created_at, changed_at, failures,
        paused_since, pause_reason, probe_at
),

cancelled as (
    update deliveries
    set
        status = 'CANCELLED', due_at = null, settled_at = $4, error = 'Its URL was removed.'
    where application_id = $1 and environment = $2 and topic = $3 and due_at is not null
        and exists (select from removed)
)

select * from removed;

-- name: resume_endpoint
-- Send again to an endpoint that was paused.
update webhook_endpoints
set failures = 0, paused_since = null, pause_reason = null, probes = 0, probe_at = null
where application_id = $1 and environment = $2 and topic = $3
returning
    application_id, environment::text, topic, url, created_at, changed_at, failures, paused_since,
    pause_reason, probe_at;

-- name: signing
-- Which versions of a book's secret sign; no row where it is the first.
select version, previous_until
from webhook_secrets
where application_id = $1 and environment = $2;

-- name: rotate
-- Sign with the next version of the secret, and with the one before until a moment.
insert into webhook_secrets (application_id, environment, version, rotated_at, previous_until)
values ($1, $2, 2, $3, $4)
on conflict on constraint webhook_secrets_pkey do update
set
    version = webhook_secrets.version + 1, rotated_at = excluded.rotated_at,
    previous_until = excluded.previous_until
returning version, previous_until;

-- name: claim
-- Claim what is due: a share for each endpoint that has anything due, however much another has.
with recursive lanes as (
    -- The first that is due of each endpoint; the index leads from one to the next.
    (
        select application_id, environment, topic, due_at
        from deliveries
        where due_at is not null
        order by application_id, environment, topic, due_at
        limit 1
    )
    union all
    select next.application_id, next.environment, next.topic, next.due_at
    from lanes
    cross join lateral (
        select application_id, environment, topic, due_at
        from deliveries
        where due_at is not null
            and (application_id, environment, topic)
            > (lanes.application_id, lanes.environment, lanes.topic)
        order by application_id, environment, topic, due_at
        limit 1
    ) as next
),

waiting as materialized (
    select
        lanes.application_id, lanes.environment, lanes.topic, endpoint.url, endpoint.probes,
        endpoint.paused_since is not null as paused,
        coalesce(known.room, $4) as room
    from lanes
    join webhook_endpoints as endpoint
        on endpoint.application_id = lanes.application_id
        and endpoint.environment = lanes.environment
        and endpoint.topic = lanes.topic
    left join unnest($5::uuid[], $6::environment[], $7::text[], $8::int[]) as known (
        application_id, environment, topic, room
    )
        on known.application_id = lanes.application_id
        and known.environment = lanes.environment
        and known.topic = lanes.topic
    where lanes.due_at <= $1 and coalesce(known.room, $4) > 0
        and (endpoint.paused_since is null or endpoint.probe_at <= $1)
    -- Where there is not room for all of them, everybody has the same chance.
    order by random()
    limit $3
),

free as materialized (
    select webhook_endpoints.application_id, webhook_endpoints.environment, webhook_endpoints.topic
    from waiting
    join webhook_endpoints
        on webhook_endpoints.application_id = waiting.application_id
        and webhook_endpoints.environment = waiting.environment
        and webhook_endpoints.topic = waiting.topic
    where waiting.paused and webhook_endpoints.probe_at <= $1
    for update of webhook_endpoints skip locked
),

probed as (
    -- One process probes, and nobody else until its claim has run out.
    update webhook_endpoints
    set probe_at = $2
    from free
    where webhook_endpoints.application_id = free.application_id
        and webhook_endpoints.environment = free.environment
        and webhook_endpoints.topic = free.topic
    returning
        webhook_endpoints.application_id, webhook_endpoints.environment, webhook_endpoints.topic
),

open as materialized (
    select
        waiting.application_id, waiting.environment, waiting.topic, waiting.url, waiting.paused,
        waiting.probes,
        case
            when waiting.paused then 1
            else least(waiting.room, greatest(1, $3 / count(*) over ()))
        end as share
    from waiting
    left join probed
        on probed.application_id = waiting.application_id
        and probed.environment = waiting.environment
        and probed.topic = waiting.topic
    where not waiting.paused or probed.topic is not null
),

due as materialized (
    select taken.application_id, taken.environment, taken.id, open.url, open.paused, open.probes
    from open
    cross join lateral (
        select deliveries.application_id, deliveries.environment, deliveries.id
        from deliveries
        where deliveries.application_id = open.application_id
            and deliveries.environment = open.environment
            and deliveries.topic = open.topic
            and deliveries.due_at <= $1
            -- In the order in which it happened: what came before is settled first.
            and not exists (
                select
                from deliveries as earlier
                where earlier.application_id = deliveries.application_id
                    and earlier.environment = deliveries.environment
                    and earlier.resource_id = deliveries.resource_id
                    and earlier.topic = deliveries.topic
                    and earlier.due_at is not null
                    and earlier.id < deliveries.id
                    -- But for one that the receiver seems unable to take: no poison for the rest.
                    and earlier.tries < 8
            )
        order by deliveries.due_at
        limit open.share
        for update of deliveries skip locked
    ) as taken
),

claimed as (
    update deliveries
    set due_at = $2, attempts = attempts + 1, tries = tries + 1
    from due
    where deliveries.application_id = due.application_id
        and deliveries.environment = due.environment
        and deliveries.id = due.id
    returning
        deliveries.application_id, deliveries.environment, deliveries.id, deliveries.topic,
        deliveries.type, deliveries.operation_id, deliveries.status, deliveries.due_at,
        deliveries.attempts, deliveries.tries, deliveries.asked_at, deliveries.created_at,
        deliveries.settled_at, deliveries.response_status, deliveries.error,
        deliveries.duration_ms, due.url, case when due.paused then due.probes end as probes
)

select
    claimed.application_id, claimed.environment::text, claimed.id, claimed.topic, claimed.type,
    claimed.operation_id, claimed.status, claimed.due_at, claimed.attempts, claimed.tries,
    claimed.asked_at, claimed.created_at, claimed.settled_at, claimed.response_status,
    claimed.error, claimed.duration_ms, claimed.url, claimed.probes,
    webhook_secrets.version, webhook_secrets.previous_until
from claimed
left join webhook_secrets
    on webhook_secrets.application_id = claimed.application_id
    and webhook_secrets.environment = claimed.environment;

-- name: record
-- Record what a batch of attempts came to, and how each endpoint fared; answer which changed state.
with outcome as materialized (
    select
        application_id, environment, id, number, held_until, status, due_at, at, url, headers,
        body, sent_at, response_status, response_body, error, duration_ms
    from unnest($1::webhook_outcome[])
),

health as materialized (
    select
        application_id, environment, topic, url, answered, failures, reason, probed, probe_at
    from unnest($2::webhook_health[])
),

locked as materialized (
    select health.*
    from health
    join webhook_endpoints as endpoint
        on endpoint.application_id = health.application_id
        and endpoint.environment = health.environment
        and endpoint.topic = health.topic
        -- What another URL did is no matter of this one's.
        and endpoint.url = health.url
    -- Of an endpoint that does well nothing is written.
    where health.failures > 0 or endpoint.failures > 0
    -- In one order: two batches cannot deadlock.
    order by health.application_id, health.environment, health.topic
    for update of endpoint
),

kept as (
    insert into webhook_attempts (
        application_id, environment, delivery_id, number, url, headers, body, sent_at,
        response_status, response_body, error, duration_ms
    )
    select
        application_id, environment, id, number, url, headers, body, sent_at, response_status,
        response_body, error, duration_ms
    from outcome
    on conflict on constraint webhook_attempts_pkey do nothing
),

settled as (
    update deliveries
    set
        status = outcome.status,
        due_at = outcome.due_at,
        settled_at = case when outcome.due_at is null then outcome.at end,
        response_status = outcome.response_status,
        error = outcome.error,
        duration_ms = outcome.duration_ms
    from outcome
    where deliveries.application_id = outcome.application_id
        and deliveries.environment = outcome.environment
        and deliveries.id = outcome.id
        -- Claimed again, replayed or cancelled since: that decides. Not with =, which would be a
        -- reason to look it up by the moment, which a whole batch shares.
        and deliveries.attempts = outcome.number
        and deliveries.due_at is not distinct from outcome.held_until
),

weighed as (
    select
        locked.*,
        case when locked.answered then 0 else endpoint.failures end + locked.failures as total,
        case when not locked.answered then endpoint.paused_since end as still
    from locked
    join webhook_endpoints as endpoint
        on endpoint.application_id = locked.application_id
        and endpoint.environment = locked.environment
        and endpoint.topic = locked.topic
),

fared as (
    update webhook_endpoints as endpoint
    set
        failures = weighed.total,
        paused_since = case when weighed.total >= $4 then coalesce(weighed.still, $3) end,
        pause_reason = case when weighed.total >= $4 then weighed.reason end,
        probes = case
            when weighed.still is null then 0
            else endpoint.probes + case when weighed.probed then 1 else 0 end
        end,
        -- What was under way when it was paused does not put off its probe.
        probe_at = case
            when weighed.total < $4 then null
            when weighed.still is not null and not weighed.probed then endpoint.probe_at
            else weighed.probe_at
        end
    from weighed
    where endpoint.application_id = weighed.application_id
        and endpoint.environment = weighed.environment
        and endpoint.topic = weighed.topic
    returning
        endpoint.application_id, endpoint.environment, endpoint.topic,
        old.paused_since as was, new.paused_since as now, new.pause_reason as reason
)

select application_id, environment::text, topic, now is not null as paused, reason
from fared
where (was is null) <> (now is null);

-- name: deliveries
-- A page of a book's deliveries, newest first.
select
    application_id, environment::text, id, topic, type, operation_id, status, due_at, attempts,
    created_at, settled_at, response_status, error, duration_ms
from deliveries
where application_id = $1 and environment = $2
    and ($3::text is null or topic = $3)
    and ($4::text is null or type = $4)
    and ($5::text is null or status = $5)
    and ($6::uuid is null or operation_id = $6)
    and ($7::timestamptz is null or created_at >= $7)
    and ($8::timestamptz is null or created_at < $8)
    and ($9::uuid is null or id < $9)
order by id desc
limit $10;

-- name: delivery
-- One delivery of a book.
select
    application_id, environment::text, id, topic, type, operation_id, status, due_at, attempts,
    created_at, settled_at, response_status, error, duration_ms
from deliveries
where application_id = $1 and environment = $2 and id = $3;

-- name: attempts
-- What was sent of one delivery and what came back, oldest first.
select
    number, url, headers, body, sent_at, response_status, response_body, error, duration_ms
from webhook_attempts
where application_id = $1 and environment = $2 and delivery_id = $3
order by number;

-- name: begin_test
-- A test that is about to be sent: nobody else sends it while it is held.
insert into deliveries (
    application_id, environment, id, topic, type, operation_id, resource_id, due_at, attempts,
    tries, asked_at, created_at
)
select
    endpoint.application_id, endpoint.environment, $4, endpoint.topic, $5, $4, $4, $7, 1, 1, $6, $6
from webhook_endpoints as endpoint
where application_id = $1 and environment = $2 and topic = $3
returning
    application_id, environment::text, id, topic, type, operation_id, status, due_at, attempts,
    tries, asked_at, created_at, settled_at, response_status, error, duration_ms,
    (
        select url
        from webhook_endpoints
        where application_id = $1 and environment = $2 and topic = $3
    ) as url,
    null::int as probes,
    (
        select version from webhook_secrets where application_id = $1 and environment = $2
    ) as version,
    (
        select previous_until from webhook_secrets where application_id = $1 and environment = $2
    ) as previous_until;

-- name: replay
-- Send the events of some time again, or for the first time, to who is to hear them now.
with wanted as materialized (
    select events.application_id, events.environment, events.id, events.type, events.operation_id,
        events.at
    from events
    left join deliveries
        on deliveries.application_id = events.application_id
        and deliveries.environment = events.environment
        and deliveries.id = events.id
    where events.application_id = $1 and events.environment = $2
        and ($3::timestamptz is null or events.at >= $3)
        and ($4::timestamptz is null or events.at < $4)
        and ($5::text is null or events.type = $5)
        and ($6::text is null or deliveries.status = $6)
        and ($7::uuid is null or events.id > $7)
        and ($8::uuid is null or events.id = $8)
    order by events.id
    limit $9
),

again as (
    insert into deliveries (
        application_id, environment, id, topic, type, operation_id, resource_id, due_at, asked_at,
        created_at
    )
    select
        wanted.application_id, wanted.environment, wanted.id, endpoint.topic, wanted.type,
        wanted.operation_id,
        webhook_resource(
            wanted.application_id, wanted.environment, wanted.type, wanted.operation_id
        ),
        $10, $10, wanted.at
    from wanted
    cross join lateral (
        select topic
        from webhook_endpoints
        where webhook_endpoints.application_id = wanted.application_id
            and webhook_endpoints.environment = wanted.environment
            and topic in (split_part(wanted.type, '.', 1) || 's', 'generic')
        order by topic = 'generic'
        limit 1
    ) as endpoint
    -- In one order: two replays cannot deadlock.
    order by wanted.application_id, wanted.environment, wanted.id
    on conflict on constraint deliveries_pkey do update
    set
        topic = excluded.topic, status = 'PENDING', due_at = excluded.due_at, tries = 0,
        asked_at = excluded.asked_at, settled_at = null
    returning id
)

select
    (select count(*) from again) as queued,
    (select count(*) from wanted) as looked_at,
    (select id from wanted order by id desc limit 1) as last;

-- name: replay_test
-- Send a test again.
update deliveries
set status = 'PENDING', due_at = $4, tries = 0, asked_at = $4, settled_at = null
where application_id = $1 and environment = $2 and id = $3 and type = 'webhook.test'
    and exists (
        select
        from webhook_endpoints
        where webhook_endpoints.application_id = deliveries.application_id
            and webhook_endpoints.environment = deliveries.environment
            and webhook_endpoints.topic = deliveries.topic
    )
returning id;

-- name: give_up
-- Settle what has waited for three days, and what waits for a URL that is no more.
with recursive lanes as (
    (
        select application_id, environment, topic
        from deliveries
        where due_at is not null
        order by application_id, environment, topic
        limit 1
    )
    union all
    select next.application_id, next.environment, next.topic
    from lanes
    cross join lateral (
        select application_id, environment, topic
        from deliveries
        where due_at is not null
            and (application_id, environment, topic)
            > (lanes.application_id, lanes.environment, lanes.topic)
        order by application_id, environment, topic
        limit 1
    ) as next
),

over as materialized (
    select old.application_id, old.environment, old.id, endpoint.topic is null as removed
    from lanes
    left join webhook_endpoints as endpoint
        on endpoint.application_id = lanes.application_id
        and endpoint.environment = lanes.environment
        and endpoint.topic = lanes.topic
    cross join lateral (
        select deliveries.application_id, deliveries.environment, deliveries.id
        from deliveries
        where deliveries.application_id = lanes.application_id
            and deliveries.environment = lanes.environment
            and deliveries.topic = lanes.topic
            -- What is claimed is due later than now, and its outcome decides.
            and deliveries.due_at <= $1
            and (deliveries.asked_at <= $2 or endpoint.topic is null)
        order by deliveries.due_at
        limit $3
        for update of deliveries skip locked
    ) as old
)

update deliveries
set
    status = case when over.removed then 'CANCELLED' else 'FAILED' end,
    due_at = null,
    settled_at = $1,
    error = case
        when over.removed then 'Its URL was removed.' else 'It was not taken within three days.'
    end
from over
where deliveries.application_id = over.application_id
    and deliveries.environment = over.environment
    and deliveries.id = over.id
returning deliveries.id;

-- name: forget_attempts
-- Remove what was sent and answered so long ago that nobody asks for it.
delete from webhook_attempts
using (
    select application_id, environment, delivery_id, number
    from webhook_attempts
    where sent_at < $1
    order by sent_at
    limit $2
) as old
where webhook_attempts.application_id = old.application_id
    and webhook_attempts.environment = old.environment
    and webhook_attempts.delivery_id = old.delivery_id
    and webhook_attempts.number = old.number
returning webhook_attempts.number;

-- name: paused
-- The endpoints that are paused, of all applications, the longest first.
select
    paused.application_id, paused.environment::text, paused.topic, paused.url, paused.created_at,
    paused.changed_at, paused.failures, paused.paused_since, paused.pause_reason, paused.probe_at,
    applications.name as application_name, companies.id as company_id,
    companies.name as company_name
from webhook_endpoints as paused
join applications on applications.id = paused.application_id
join companies on companies.id = applications.company_id
where paused.paused_since is not null
order by paused.paused_since, paused.application_id, paused.environment, paused.topic
limit $1;

-- name: count_paused
-- How many endpoints are paused.
select count(*) from webhook_endpoints where paused_since is not null;

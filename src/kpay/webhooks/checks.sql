-- name: events_are_delivered
-- 9. Every event that an endpoint was there to hear has its delivery.
select events.application_id, events.environment::text, events.id, events.type
from events
left join deliveries using (application_id, environment, id)
where deliveries.id is null
    and exists (
        select
        from webhook_endpoints
        where webhook_endpoints.application_id = events.application_id
            and webhook_endpoints.environment = events.environment
            and webhook_endpoints.topic in (split_part(events.type, '.', 1) || 's', 'generic')
            -- A transaction that was under way when the URL was set did not see it.
            and webhook_endpoints.created_at + interval '1 minute' <= events.at
    );

-- name: deliveries_have_events
-- 9. Nothing is delivered that did not happen.
select
    deliveries.application_id, deliveries.environment::text, deliveries.id, deliveries.type
from deliveries
left join events using (application_id, environment, id)
where deliveries.type <> 'webhook.test'
    and (events.type, events.operation_id)
    is distinct from (deliveries.type, deliveries.operation_id);

-- name: one_live_operation
-- 4. An externalId is claimed by exactly its live operation.
select instructions.application_id, instructions.environment::text, instructions.id
from instructions
left join payments using (application_id, environment, id)
left join payouts using (application_id, environment, id)
where instructions.claimed_external_id is distinct from case
    when instructions.status not in ('FAILED', 'CANCELLED')
    then coalesce(payments.external_id, payouts.external_id)
end;

-- name: open_work_is_due
-- 10. Everything open has a time at which it is looked at again.
select application_id, environment::text, id, status::text
from instructions
where status in ('PENDING', 'PROCESSING') and due_at is null;

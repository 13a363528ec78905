-- name: rules
-- The rules of a book that are in force, a row for each currency that has one and one for the others.
select version, currency, above
from approval_rules
where application_id = $1 and environment = $2
    and version = (
        select max(version) from approval_rules where application_id = $1 and environment = $2
    );

-- name: set_rules
-- The next version of a book's rules.
insert into approval_rules (
    application_id, environment, version, currency, above, set_by, set_at
)
select $1, $2, $3, currency, above, $6, $7
from unnest($4::text[], $5::bigint[]) as rule (currency, above)
on conflict on constraint approval_rules_pkey do nothing;

-- name: ask
-- A request; nothing, where it is there already or another asks to give the same payment back.
insert into approvals (
    application_id, environment, id, kind, currency, amount, asked, shown, payment_id,
    asked_by, asked_at, ends_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict do nothing
returning id;

-- name: open_refund
-- The request that asks to give a payment back and has not ended.
select id
from approvals
where application_id = $1 and environment = $2 and payment_id = $3 and outcome is null;

-- name: find
-- One request, with who asked and who decided.
select approvals.*, approvals.environment::text as book_environment,
    askers.name as asker_name, deciders.name as decider_name,
    case when askers.disabled_at is null then memberships.role end as asker_role
from approvals
join applications on applications.id = approvals.application_id
join people as askers on askers.id = approvals.asked_by
left join people as deciders on deciders.id = approvals.decided_by
left join memberships
    on memberships.company_id = applications.company_id
    and memberships.person_id = approvals.asked_by
where approvals.application_id = $1 and approvals.environment = $2
    and approvals.id = $3;

-- name: of_operation
-- The request that an operation came of.
select id
from approvals
where application_id = $1 and environment = $2 and operation_id = $3;

-- name: open
-- What of a book waits to be decided, the oldest first.
select approvals.*, approvals.environment::text as book_environment,
    askers.name as asker_name, null as decider_name,
    case when askers.disabled_at is null then memberships.role end as asker_role
from approvals
join applications on applications.id = approvals.application_id
join people as askers on askers.id = approvals.asked_by
left join memberships
    on memberships.company_id = applications.company_id
    and memberships.person_id = approvals.asked_by
where approvals.application_id = $1 and approvals.environment = $2 and approvals.outcome is null
order by approvals.asked_at
limit $3;

-- name: ended
-- What of a book was decided or ran out, the newest first.
select approvals.*, approvals.environment::text as book_environment,
    askers.name as asker_name, deciders.name as decider_name, null as asker_role
from approvals
join people as askers on askers.id = approvals.asked_by
left join people as deciders on deciders.id = approvals.decided_by
where approvals.application_id = $1 and approvals.environment = $2
    and approvals.outcome is not null
order by approvals.decided_at desc
limit $3;

-- name: waiting
-- How many requests of a book somebody else than this person has made, and are open.
select count(*)
from approvals
where application_id = $1 and environment = $2 and outcome is null
    and ends_at > $3 and asked_by <> $4;

-- name: waiting_in
-- The same for each book of a company that has any.
select approvals.application_id, approvals.environment::text, count(*) as waiting
from applications
join approvals on approvals.application_id = applications.id
where applications.company_id = $1 and approvals.outcome is null
    and approvals.ends_at > $2 and approvals.asked_by <> $3
group by approvals.application_id, approvals.environment;

-- name: end
-- A request ends, once and in its time.
update approvals
set outcome = $4, decided_by = $5, decided_at = $6, reason = $7, operation_id = $8
where application_id = $1 and environment = $2 and id = $3
    and outcome is null and ends_at > $6
returning id;

-- name: expire
-- Requests whose time is over end.
update approvals
set outcome = 'EXPIRED', decided_at = $1
where (application_id, environment, id) in (
    select application_id, environment, id
    from approvals
    where outcome is null and ends_at <= $1
    order by ends_at
    limit $2
    for update skip locked
);

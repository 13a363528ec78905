-- name: keep
-- Hold a contradiction for the operator, once; found again, it stays as it was found first.
insert into contradictions (
    application_id, environment, instruction_id, what, reference, connector, attempt, evidence,
    found_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict on constraint contradictions_pkey do nothing
returning true;

-- name: list
-- A page of contradictions, newest first, by whichever filter is given, from the last page's end on.
select
    contradictions.application_id, contradictions.environment::text, contradictions.instruction_id,
    contradictions.what, contradictions.reference, contradictions.connector,
    contradictions.attempt, contradictions.evidence, contradictions.found_at,
    contradictions.decision, contradictions.note, contradictions.settled_by,
    contradictions.settled_at, people.name as settled_name, companies.id as company_id,
    companies.name as company_name, applications.name as application_name, instructions.type, instructions.status::text,
    coalesce(attempts.sent ->> 'provider', instructions.provider) as provider,
    coalesce(attempts.sent ->> 'phoneNumber', instructions.phone_number) as phone_number,
    coalesce(attempts.sent ->> 'currency', instructions.currency) as currency,
    coalesce(((attempts.sent ->> 'amount')::numeric * 100)::bigint, instructions.amount) as amount
from contradictions
join instructions
    on instructions.application_id = contradictions.application_id
    and instructions.environment = contradictions.environment
    and instructions.id = contradictions.instruction_id
join applications on applications.id = contradictions.application_id
join companies on companies.id = applications.company_id
left join people
    on people.id = case
        when pg_input_is_valid(contradictions.settled_by, 'uuid')
        then contradictions.settled_by::uuid
    end
left join attempts
    on attempts.application_id = contradictions.application_id
    and attempts.environment = contradictions.environment
    and attempts.instruction_id = contradictions.instruction_id
    and attempts.number = contradictions.attempt
where ($1::uuid is null or contradictions.instruction_id = $1)
    and ($2::boolean is null or (contradictions.settled_at is null) = $2)
    and ($3::text is null or contradictions.what = $3)
    and ($4::environment is null or contradictions.environment = $4)
    and (
        $5::uuid is null
        or (
            contradictions.found_at, contradictions.instruction_id, contradictions.what,
            contradictions.reference
        ) < (
            select last.found_at, last.instruction_id, last.what, last.reference
            from contradictions as last
            where last.instruction_id = $5 and last.what = $6::text and last.reference = $7::uuid
        )
    )
order by
    contradictions.found_at desc, contradictions.instruction_id desc, contradictions.what desc,
    contradictions.reference desc
limit $8;

-- name: settle
-- Settle an open one; of two operators at once, the first one's decision stays.
update contradictions
set decision = $6, note = $7, settled_by = $8, settled_at = $9
where application_id = $1 and environment = $2 and instruction_id = $3 and what = $4
    and reference = $5 and settled_at is null
returning true;

-- name: count_open
-- How many wait for an operator.
select count(*) from contradictions where settled_at is null;

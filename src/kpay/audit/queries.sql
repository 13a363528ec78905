-- name: write
-- Lines of the log about one thing that was done, one for each company that it concerns.
insert into audit_log (
    id, at, company_id, person_id, command, api_key, address, action, subject_kind, subject_id,
    details
)
select id, $3, company_id, $4, $5, $6, $7, $8, $9, $10, $11
from unnest($1::uuid[], $2::uuid[]) as line (id, company_id);

-- name: page
-- A page of the log, newest first, with the names of who acted and whom it was done to.
select
    audit_log.id, audit_log.at, audit_log.company_id, companies.name as company_name,
    audit_log.person_id, people.name as person_name, people.email as person_email,
    coalesce(people.is_operator, false) as is_staff, audit_log.command,
    audit_log.api_key, audit_log.address, audit_log.action, audit_log.subject_kind, audit_log.subject_id,
    audit_log.details, subjects.name as subject_name
from audit_log
left join people on people.id = audit_log.person_id
left join companies on companies.id = audit_log.company_id
left join people as subjects
    on subjects.id = case
        when audit_log.subject_kind = 'person' and pg_input_is_valid(audit_log.subject_id, 'uuid')
        then audit_log.subject_id::uuid
    end
where ($1::uuid is null or audit_log.company_id = $1)
    and ($2::uuid is null or audit_log.person_id = $2)
    and ($3::text is null or audit_log.action = $3)
    and ($4::text is null or audit_log.subject_kind = $4)
    and ($5::text is null or audit_log.subject_id = $5)
    and ($6::timestamptz is null or audit_log.at >= $6)
    and ($7::timestamptz is null or audit_log.at < $7)
    and ($8::uuid is null or audit_log.id < $8)
order by audit_log.id desc
limit $9;

-- name: claim_installation
-- Record which secret this database belongs to, once; answer the one on record.
with first as (
    insert into installation (secret_fingerprint)
    values ($1)
    on conflict on constraint installation_pkey do nothing
    returning secret_fingerprint
)

select secret_fingerprint from first
union all
select secret_fingerprint from installation
limit 1;

-- name: upsert_company
-- The company of a name, made when it is new.
with first as (
    insert into companies (id, name, created_at)
    values ($1, $2, $3)
    on conflict on constraint companies_name_key do nothing
    returning id, name, approved_at
)

select id, name, approved_at from first
union all
select id, name, approved_at from companies where name = $2
limit 1;

-- name: approve_company
-- Let a company have live keys. Approving twice keeps the first time.
update companies
set approved_at = coalesce(approved_at, $2)
-- A company that has another's id for its name is not meant by that id.
where id::text = $1
    or (name = $1 and not exists (select from companies as meant where meant.id::text = $1))
returning id, name, new.approved_at, old.approved_at is null as changed;

-- name: withdraw_approval
-- Let a company have live keys no longer: those in force end, and every process looks again.
with
signalled as (select pg_notify('access', '')),

company as (
    update companies
    set approved_at = null
    from signalled
    where id::text = $1
        or (name = $1 and not exists (select from companies as meant where meant.id::text = $1))
    returning id, name, new.approved_at, old.approved_at is not null as changed
),

ended as (
    update api_keys
    set revoked_at = $2
    from applications
    join company on company.id = applications.company_id
    where api_keys.application_id = applications.id
        and api_keys.environment = 'PRODUCTION' and api_keys.revoked_at is null
    returning api_keys.id
)

select id, name, approved_at, changed, (select count(*) from ended) as keys_ended from company;

-- name: hold_approval
-- When an application's company was approved; that cannot be withdrawn until this has ended.
select companies.approved_at
from companies
join applications on applications.company_id = companies.id
where applications.id = $1
for share of companies;

-- name: find_company
-- One company.
select id, name, approved_at, created_at from companies where id = $1;

-- name: list_companies
-- A page of companies by name: those that a text or an id is found in, approved or not.
select
    companies.id, companies.name, companies.approved_at, companies.created_at,
    (select count(*) from applications where company_id = companies.id) as applications
from companies
where ($1::text is null or strpos(lower(companies.name), lower($1)) > 0)
    and ($2::uuid[] is null or companies.id = any($2) or exists (
        select from applications where company_id = companies.id and id = any($2)
    ))
    and ($3::boolean is null or (companies.approved_at is not null) = $3)
    and ($4::text is null or companies.name > $4)
order by companies.name
limit $5;

-- name: insert_application
-- A new application of a company; none when the company has one of that name.
insert into applications (id, company_id, name, payment_fee_bps, payout_fee_bps, created_at)
values ($1, $2, $3, $4, $4, $5)
on conflict on constraint applications_name_key do nothing
returning id;

-- name: find_applications
-- One application, or those of one company by name, each with its company and terms.
select
    applications.id, applications.name, applications.payment_fee_bps,
    applications.payout_fee_bps, applications.allowed_providers, applications.rate_limit,
    companies.id as company_id, companies.name as company_name, companies.approved_at,
    coalesce(
        (
            select array_agg(array[operation, currency, least::text, most::text])
            from application_limits
            where application_id = applications.id
        ), '{}'
    ) as limits
from applications
join companies on companies.id = applications.company_id
where applications.id = $1 or applications.company_id = $2
order by applications.name, applications.id;

-- name: hold_application
-- Take a turn at an application's terms.
select id from applications where id = $1 for no key update;

-- name: list_applications
-- Every application, for the operator.
select
    applications.id, applications.name, companies.name as company_name, companies.approved_at,
    applications.created_at
from applications
join companies on companies.id = applications.company_id
order by companies.name, applications.name;

-- name: keys_in_force
-- The public half of the pair that is in force in each environment of an application.
select environment::text, api_key, created_at
from api_keys
where application_id = $1 and revoked_at is null;

-- name: configure_application
-- Change an application's terms; null leaves one, an empty list lifts the whitelist, -1 the limit.
with signalled as (select pg_notify('access', ''))

update applications
set
    payment_fee_bps = coalesce($2, payment_fee_bps),
    payout_fee_bps = coalesce($3, payout_fee_bps),
    allowed_providers = case
        when $4::text[] is null then allowed_providers
        else nullif($4::text[], '{}')
    end,
    rate_limit = case when $5::int is null then rate_limit else nullif($5::int, -1) end
from signalled
where id = $1
returning id;

-- name: set_limit
-- An application's own bounds for one operation in one currency, in hundredths.
with signalled as (select pg_notify('access', ''))

insert into application_limits (application_id, operation, currency, least, most)
select $1, $2, $3, $4, $5 from signalled
on conflict on constraint application_limits_pkey
do update set least = excluded.least, most = excluded.most;

-- name: lift_limit
-- What is usual again, in the place of an application's own bounds.
with signalled as (select pg_notify('access', ''))

delete from application_limits
using signalled
where application_id = $1 and operation = $2 and currency = $3
returning least, most;

-- name: revoke_keys
-- End the key pair in force in a book.
update api_keys
set revoked_at = $3
where application_id = $1 and environment = $2 and revoked_at is null;

-- name: insert_key
-- A new key pair, of which only the hash of the secret is kept; every process looks again.
with signalled as (select pg_notify('access', ''))

insert into api_keys (application_id, environment, id, api_key, secret_hash, created_at)
select $1, $2, $3, $4, $5, $6 from signalled;

-- name: find_key
-- The key pair in force that has this public half.
select
    api_keys.application_id, api_keys.environment::text, api_keys.id, api_keys.secret_hash,
    applications.company_id
from api_keys
join applications on applications.id = api_keys.application_id
where api_keys.api_key = $1 and api_keys.revoked_at is null;

-- name: key_in_force
-- Whether a key pair that a token was given for still holds.
select exists(
    select
    from api_keys
    where application_id = $1 and environment = $2 and id = $3 and revoked_at is null
);

-- name: token_keys
-- The keys that tokens may be signed with: the newest signs, the retired ones run out.
select id
from token_keys
where retired_at is null or retired_at > $1
order by id desc;

-- name: insert_token_key
-- A new key for tokens; the ones before it are retired and every process looks again.
with
retired as (update token_keys set retired_at = $2 where retired_at is null),

signalled as (select pg_notify('access', ''))

insert into token_keys (id, created_at)
select $1, $2 from signalled;

-- name: first_token_key
-- The first key of a new installation; the second process to ask keeps the first's.
insert into token_keys (id, created_at)
select $1, $2
where not exists (select from token_keys);

-- name: lease_quotas
-- Give a process its shares of several quotas; a window that is over begins anew.
insert into rate_windows as held (
    application_id, environment, bucket, subject, ends_at, quota, taken
)
select application_id, environment, bucket, subject, $2, quota, least(asked, quota)
from unnest($4::uuid[], $5::environment[], $6::text[], $7::uuid[], $8::int[], $9::int[])
    as wanted (application_id, environment, bucket, subject, quota, asked)
-- In one order, so that two processes cannot deadlock.
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

-- name: sweep_windows
-- Forget windows that were over before a moment.
delete from rate_windows
where ctid = any(array(
    select ctid
    from rate_windows
    where ends_at < $1
    limit $2
    for update skip locked
));

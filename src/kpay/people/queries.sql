-- name: count_failures
-- Count an attempt in each of several names, before it is looked at; a window that is over begins anew.
insert into sign_in_failures as held (scope, subject, ends_at, failures)
select scope, subject, ends_at, 1
from unnest($2::text[], $3::bytea[], $4::timestamptz[]) as named (scope, subject, ends_at)
-- In one order, so that two processes cannot deadlock.
order by scope, subject
on conflict on constraint sign_in_failures_pkey do update
set
    failures = case when held.ends_at > $1 then held.failures + 1 else 1 end,
    ends_at = case when held.ends_at > $1 then held.ends_at else excluded.ends_at end
returning scope, failures, ends_at;

-- name: uncount_failures
-- Take back an attempt that was none.
with held as (
    select sign_in_failures.scope, sign_in_failures.subject
    from sign_in_failures
    join unnest($1::text[], $2::bytea[]) as named (scope, subject) using (scope, subject)
    order by scope, subject
    for update of sign_in_failures
)

update sign_in_failures
set failures = greatest(0, failures - 1)
from held
where sign_in_failures.scope = held.scope and sign_in_failures.subject = held.subject;

-- name: sweep_failures
-- Forget counts whose window is over.
delete from sign_in_failures
where ctid = any(array(
    select ctid
    from sign_in_failures
    where ends_at < $1
    limit $2
    for update skip locked
));

-- name: insert_refusal
-- That a sign-in was refused.
insert into sign_in_refusals (id, at, person_id, address, code) values ($1, $2, $3, $4, $5);

-- name: list_refusals
-- The sign-ins that were refused last, with who it would have been where the email was one of ours.
select
    refusals.at, refusals.address, refusals.code, refusals.person_id, people.name, people.email,
    people.operator_role is not null as is_staff, people.disabled_at is not null as is_disabled
from sign_in_refusals as refusals
left join people on people.id = refusals.person_id
order by refusals.id desc
limit $1;

-- name: sweep_refusals
-- Forget sign-ins that were refused so long ago that nobody asks for them.
delete from sign_in_refusals
where id = any(array(
    select id
    from sign_in_refusals
    where id < $1
    order by id
    limit $2
));

-- name: sweep_sessions
-- Take away sessions that began so long ago that they are over.
delete from sessions
where id = any(array(
    select id
    from sessions
    where created_at < $1
    limit $2
    for update skip locked
));

-- name: of_email
-- Who has an email, with what signing in needs.
select
    people.id, people.email, people.name, people.language, people.operator_role,
    people.disabled_at, people.factor_since, people.password_hash, people.factor_version,
    people.factor_offered,
    array(
        select company_id from memberships where person_id = people.id order by company_id
    ) as companies
from people
where people.email = $1;

-- name: of_id
-- One person, with what signing in needs.
select
    people.id, people.email, people.name, people.language, people.operator_role,
    people.disabled_at, people.factor_since, people.password_hash, people.factor_version,
    people.factor_offered,
    array(
        select company_id from memberships where person_id = people.id order by company_id
    ) as companies
from people
where people.id = $1;

-- name: list_people
-- Everybody, for the operator.
select
    people.id, people.email, people.name, people.language, people.operator_role,
    people.disabled_at, people.factor_since, people.password_hash,
    array(
        select array[companies.name, memberships.role]
        from memberships
        join companies on companies.id = memberships.company_id
        where memberships.person_id = people.id
        order by companies.name
    ) as roles
from people
order by people.email;

-- name: list_colleagues
-- The operator's staff, those whose account is closed last, with what is open for each.
select
    people.id, people.email, people.name, people.language, people.operator_role,
    people.disabled_at, people.factor_since, people.password_hash, people.created_at,
    open_link.ends_at as link_until, whole.sessions, whole.seen_at
from people
left join password_links as open_link
    on open_link.person_id = people.id and open_link.used_at is null
    and open_link.withdrawn_at is null and open_link.ends_at > $1
cross join lateral (
    select count(*) as sessions, max(sessions.seen_at) as seen_at
    from sessions
    where sessions.person_id = people.id and sessions.created_at > $2 and sessions.seen_at > $3
        -- One that still waits for its code is nobody's yet.
        and (people.factor_since is null or sessions.second_factor_at is not null)
) as whole
where people.operator_role is not null
order by people.disabled_at is not null, people.name, people.id;

-- name: hold_staff
-- Take a turn at the operator's staff: who may change them changes them one after the other.
select id, operator_role, disabled_at
from people
where operator_role is not null
order by id
for no key update;

-- name: insert_person
-- A new person; none when there is one of that email.
insert into people (id, email, name, language, operator_role, password_hash, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict on constraint people_email_key do nothing
returning id;

-- name: change_person
-- Another name or language.
update people
set name = $2, language = $3
where id = $1
returning id;

-- name: set_operator_role
-- What an operator's person may do.
update people
set operator_role = $2
where id = $1 and operator_role is not null
returning id;

-- name: replace_password
-- A new hash in the place of one, if that is still the one in force.
update people
set password_hash = $3
where id = $1 and password_hash = $2
returning id;

-- name: set_password
-- A new password, whatever the one before.
update people
set password_hash = $2
where id = $1 and disabled_at is null
returning id;

-- name: set_disabled
-- Shut a person out, or let a person in again; the first time is kept.
update people
set disabled_at = case when $2::timestamptz is null then null else coalesce(disabled_at, $2) end
where id = $1
returning id;

-- name: still_right
-- Whether a password that was right still is; held so until the transaction ends.
select id
from people
where id = $1 and password_hash = $2 and disabled_at is null
for share;

-- name: offer_factor
-- A new second factor to be confirmed; the one in force stays until then.
update people
set factor_offered = factor_offered + 1
where id = $1 and disabled_at is null
returning factor_offered;

-- name: confirm_factor
-- Put the second factor that was offered in force, with the time step of the code that proved it.
update people
set factor_version = factor_offered, factor_since = $3, factor_step = $4
where id = $1 and factor_offered = $2 and factor_version is distinct from factor_offered
returning id;

-- name: remove_factor
-- No second factor any more. What was offered is spent, so the next one is another.
update people
set factor_version = null, factor_since = null, factor_offered = factor_offered + 1
where id = $1 and factor_version is not null
returning id;

-- name: use_step
-- Accept a code's time step, if neither it nor a later one was accepted before.
update people
set factor_step = $3
where id = $1 and factor_version = $2 and factor_step < $3
returning id;

-- name: use_recovery_code
-- Accept a recovery code, once.
update recovery_codes
set used_at = $3
where person_id = $1 and code_hash = $2 and used_at is null
returning person_id;

-- name: count_recovery_codes
-- How many recovery codes are left.
select count(*) from recovery_codes where person_id = $1 and used_at is null;

-- name: remove_recovery_codes
-- Recovery codes end with the second factor that they stand in for.
delete from recovery_codes where person_id = $1;

-- name: insert_recovery_codes
-- New recovery codes.
insert into recovery_codes (person_id, code_hash)
select $1, code_hash from unnest($2::bytea[]) as code_hash;

-- name: insert_session
-- A session that begins.
insert into sessions (
    id, person_id, token_hash, created_at, seen_at, second_factor_at, device, address, agent
)
values ($1, $2, $3, $4, $4, null, $5, $6, $7);

-- name: find_session
-- A session with its person and what that person may do now.
select
    people.id, people.email, people.name, people.language, people.operator_role,
    people.disabled_at, people.factor_since, people.password_hash, people.factor_version,
    people.factor_offered, sessions.id as session_id, sessions.created_at as began_at, sessions.seen_at,
    sessions.second_factor_at, sessions.device, sessions.address,
    array(
        select array[
            companies.id::text, companies.name, memberships.role,
            (companies.approved_at is not null)::text
        ]
        from memberships
        join companies on companies.id = memberships.company_id
        where memberships.person_id = people.id
        order by companies.name
    ) as memberships
from sessions
join people on people.id = sessions.person_id
where sessions.token_hash = $1 and people.disabled_at is null;

-- name: see_session
-- That something was done in a session.
update sessions set seen_at = $2 where id = $1 and seen_at < $2;

-- name: hold_person
-- Take a turn at a person: one change of a password, a second factor or the sessions at a time.
select id from people where id = $1 and disabled_at is null for no key update;

-- name: session_holds
-- Whether a session that was found is still there.
select id from sessions where id = $1;

-- name: prove_session
-- The second factor was shown: from here on by another token.
update sessions
set second_factor_at = $2, seen_at = $2, token_hash = $3
where id = $1
returning id;

-- name: mark_proved
-- The second factor was shown in a session that stays as it is.
update sessions set second_factor_at = $2 where id = $1;

-- name: list_sessions
-- Where a person is signed in, the latest first.
select id, created_at, seen_at, second_factor_at, address, agent
from sessions
where person_id = $1
order by seen_at desc, id desc;

-- name: end_session
-- Sign one session out.
delete from sessions where person_id = $1 and id = $2 returning id;

-- name: end_sessions
-- Sign a person out everywhere, or everywhere but in one session.
delete from sessions where person_id = $1 and id is distinct from $2 returning id;

-- name: lock_company
-- Take a turn at a company's people.
select id, name, approved_at from companies where id = $1 for no key update;

-- name: role_of
-- What a person is in a company.
select role from memberships where company_id = $1 and person_id = $2;

-- name: insert_member
-- A new member; none when the person is one already.
insert into memberships (company_id, person_id, role, created_at)
values ($1, $2, $3, $4)
on conflict on constraint memberships_pkey do nothing
returning person_id;

-- name: change_role
-- Another role.
update memberships
set role = $3
where company_id = $1 and person_id = $2
returning person_id;

-- name: remove_member
-- A member no longer.
delete from memberships where company_id = $1 and person_id = $2 returning person_id;

-- name: list_members
-- A company's people.
select
    people.id, people.email, people.name, people.language, people.operator_role,
    people.disabled_at, people.factor_since,
    memberships.role, memberships.created_at as since
from memberships
join people on people.id = memberships.person_id
where memberships.company_id = $1
order by people.name, people.id;

-- name: count_members
-- How many people there are in each of several companies.
select company_id, count(*) as members
from memberships
where company_id = any($1::uuid[])
group by company_id;

-- name: owned_elsewhere
-- Whether a person is in a company of which another person is no owner, or is an owner of one.
select exists (
    select
    from memberships as theirs
    where theirs.person_id = $1
        and (
            theirs.role = 'OWNER'
            or not exists (
                select
                from memberships as ours
                where ours.company_id = theirs.company_id
                    and ours.person_id = $2 and ours.role = 'OWNER'
            )
        )
);

-- name: withdraw_invitations
-- An address has one invitation of a company: those before the newest end.
update invitations
set withdrawn_at = $3
where company_id = $1 and email = $2 and accepted_at is null and withdrawn_at is null;

-- name: insert_invitation
-- A new invitation.
insert into invitations (
    id, company_id, email, role, token_hash, invited_by, created_at, ends_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: withdraw_invitation
-- Take one invitation back.
update invitations
set withdrawn_at = $3
where company_id = $1 and id = $2 and accepted_at is null and withdrawn_at is null
returning email;

-- name: find_invitations
-- Those of a company, or the one of a token, that can still be accepted, the newest first.
select
    invitations.id, invitations.company_id, companies.name as company_name, invitations.email,
    invitations.role, invitations.created_at, invitations.ends_at
from invitations
join companies on companies.id = invitations.company_id
where (invitations.company_id = $1 or invitations.token_hash = $2)
    and invitations.accepted_at is null and invitations.withdrawn_at is null
    and invitations.ends_at > $3
    -- Who was removed or is an owner no longer lets nobody in behind.
    and exists (
        select
        from memberships
        join people on people.id = memberships.person_id
        where memberships.company_id = invitations.company_id
            and memberships.person_id = invitations.invited_by
            and memberships.role = 'OWNER' and people.disabled_at is null
    )
order by invitations.id desc;

-- name: accept_invitation
-- Use an invitation, once.
update invitations
set accepted_at = $2
where id = $1 and accepted_at is null and withdrawn_at is null and ends_at > $2
    -- Who was removed or is an owner no longer lets nobody in behind.
    and exists (
        select
        from memberships
        join people on people.id = memberships.person_id
        where memberships.company_id = invitations.company_id
            and memberships.person_id = invitations.invited_by
            and memberships.role = 'OWNER' and people.disabled_at is null
    )
returning id;

-- name: withdraw_links
-- A person has one link to set a password with: those before the newest end.
update password_links
set withdrawn_at = $2
where person_id = $1 and used_at is null and withdrawn_at is null;

-- name: withdraw_links_made_by
-- Who manages people no longer has no link left to become one of them.
update password_links
set withdrawn_at = $2
where made_by = $1 and used_at is null and withdrawn_at is null;

-- name: insert_link
-- A new link to set a password with.
insert into password_links (id, person_id, token_hash, made_by, created_at, ends_at)
values ($1, $2, $3, $4, $5, $6);

-- name: find_link
-- Whose password a token sets.
select person_id
from password_links
where token_hash = $1 and used_at is null and withdrawn_at is null and ends_at > $2;

-- name: use_link
-- Use a link, once.
update password_links
set used_at = $2
where token_hash = $1 and used_at is null and withdrawn_at is null and ends_at > $2
returning person_id;

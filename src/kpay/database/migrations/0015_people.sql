-- The people who look at the program: who they are, what they may do in which company, how they sign
-- in, and what each of them did. They belong to companies and to the operator, not to an application.
-- Lock risk: `companies` is locked for a moment, for a foreign key; every table is new.

-- A password is kept as its Argon2id hash. The secret of the second factor is not kept: it is derived
-- from the program's own secret, this id and a version.
create table people (
    id uuid not null,
    email text collate "C" not null,
    name text not null,
    language text collate "C",
    operator_role text collate "C",
    is_operator boolean not null generated always as (operator_role is not null) stored,
    password_hash text collate "C",
    -- The version that is in force and since when, and the one that waits to be confirmed.
    factor_version integer,
    factor_since timestamptz,
    factor_offered integer not null default 0,
    -- The last time step of which a code was accepted: no code is accepted twice.
    factor_step bigint not null default 0,
    disabled_at timestamptz,
    created_at timestamptz not null,
    constraint people_pkey primary key (id),
    constraint people_email_key unique (email),
    -- What memberships refer to: an operator's staff has none.
    constraint people_kind_key unique (id, is_operator),
    -- One person whatever the case that an address is written in.
    constraint people_email_lower_case check (email = lower(email) and email like '_%@_%'),
    constraint people_language_known check (language in ('fr', 'en')),
    constraint people_operator_role_known check (operator_role in ('ADMIN', 'SUPPORT')),
    constraint people_factor_whole check ((factor_version is null) = (factor_since is null)),
    constraint people_factor_offered_first check (factor_version <= factor_offered)
);

create table memberships (
    company_id uuid not null,
    person_id uuid not null,
    role text collate "C" not null,
    is_operator boolean not null default false,
    created_at timestamptz not null,
    constraint memberships_pkey primary key (company_id, person_id),
    constraint memberships_company_id_fkey foreign key (company_id) references companies (id),
    constraint memberships_person_fkey
        foreign key (person_id, is_operator) references people (id, is_operator),
    -- A person is a merchant's or the operator's, never both.
    constraint memberships_no_operator check (not is_operator),
    constraint memberships_role_known check (
        role in ('OWNER', 'FINANCE', 'APPROVER', 'DEVELOPER', 'VIEWER')
    )
);

create index memberships_person_idx on memberships (person_id);

-- A company keeps an owner who can sign in. Two owners who remove each other at the same moment take
-- their turns at the company's row: the second one then sees what the first did.
create function check_an_owner_is_left() returns trigger language plpgsql as $$
begin
    perform from companies where id = old.company_id for no key update;
    if not exists (
        select
        from memberships
        join people on people.id = memberships.person_id
        where memberships.company_id = old.company_id
            and memberships.role = 'OWNER'
            and people.disabled_at is null
    ) then
        raise exception 'a company must keep an owner'
            using errcode = 'integrity_constraint_violation', constraint = 'memberships_keep_an_owner';
    end if;
    return null;
end
$$;

create trigger memberships_keep_an_owner after delete or update on memberships
    for each row when (old.role = 'OWNER') execute function check_an_owner_is_left();

do $$
begin
    execute format(
        'alter function check_an_owner_is_left set search_path = %I, pg_temp', current_schema()
    );
end
$$;

-- Who is signed in where. Of the token in the cookie only a keyed hash is kept. A session ends by being
-- taken away.
create table sessions (
    id uuid not null,
    person_id uuid not null,
    token_hash bytea not null,
    created_at timestamptz not null,
    seen_at timestamptz not null,
    -- When the code of the second factor was given.
    second_factor_at timestamptz,
    -- The browser, where it had been signed in with before.
    device text collate "C",
    address text collate "C",
    agent text not null,
    constraint sessions_pkey primary key (id),
    constraint sessions_token_hash_key unique (token_hash),
    constraint sessions_person_id_fkey foreign key (person_id) references people (id)
);

create index sessions_person_idx on sessions (person_id, created_at);
create index sessions_created_at_idx on sessions (created_at);

-- Codes for the day on which a telephone is lost, each good once.
create table recovery_codes (
    person_id uuid not null,
    code_hash bytea not null,
    used_at timestamptz,
    constraint recovery_codes_pkey primary key (person_id, code_hash),
    constraint recovery_codes_person_id_fkey foreign key (person_id) references people (id)
);

create table invitations (
    id uuid not null,
    company_id uuid not null,
    email text collate "C" not null,
    role text collate "C" not null,
    token_hash bytea not null,
    invited_by uuid not null,
    created_at timestamptz not null,
    ends_at timestamptz not null,
    accepted_at timestamptz,
    withdrawn_at timestamptz,
    constraint invitations_pkey primary key (id),
    constraint invitations_token_hash_key unique (token_hash),
    constraint invitations_company_id_fkey foreign key (company_id) references companies (id),
    constraint invitations_invited_by_fkey foreign key (invited_by) references people (id),
    constraint invitations_email_lower_case check (email = lower(email)),
    constraint invitations_role_known check (
        role in ('OWNER', 'FINANCE', 'APPROVER', 'DEVELOPER', 'VIEWER')
    ),
    constraint invitations_end_once check (num_nonnulls(accepted_at, withdrawn_at) < 2)
);

-- One address has one invitation of a company at a time: the newest.
create unique index invitations_open_key on invitations (company_id, email)
    where accepted_at is null and withdrawn_at is null;

-- Links with which a password is set, by who has none any more or none yet.
create table password_links (
    id uuid not null,
    person_id uuid not null,
    token_hash bytea not null,
    -- The owner who made it; null for the operator.
    made_by uuid,
    created_at timestamptz not null,
    ends_at timestamptz not null,
    used_at timestamptz,
    withdrawn_at timestamptz,
    constraint password_links_pkey primary key (id),
    constraint password_links_token_hash_key unique (token_hash),
    constraint password_links_person_id_fkey foreign key (person_id) references people (id),
    constraint password_links_made_by_fkey foreign key (made_by) references people (id),
    constraint password_links_end_once check (num_nonnulls(used_at, withdrawn_at) < 2)
);

create unique index password_links_open_key on password_links (person_id)
    where used_at is null and withdrawn_at is null;
create index password_links_made_by_idx on password_links (made_by)
    where used_at is null and withdrawn_at is null;

-- Wrong passwords and codes, counted by all processes together. It is not logged: nothing waits for the
-- disk, and after a crash of the database every count begins anew.
create unlogged table sign_in_failures (
    scope text collate "C" not null,
    -- A keyed hash: what strangers type is not kept.
    subject bytea not null,
    ends_at timestamptz not null,
    failures integer not null,
    constraint sign_in_failures_pkey primary key (scope, subject)
) with (fillfactor = 50);

create index sign_in_failures_ends_at_idx on sign_in_failures (ends_at);

-- Who did what, from where, to what: written in the transaction that did it, and never changed.
create table audit_log (
    id uuid not null,
    at timestamptz not null,
    -- Null for what concerns the installation.
    company_id uuid,
    person_id uuid,
    -- Who typed a command of the operator's, when it was no person who signed in.
    command text,
    address text collate "C",
    action text collate "C" not null,
    subject_kind text collate "C" not null,
    subject_id text collate "C" not null,
    details jsonb not null,
    constraint audit_log_pkey primary key (id),
    constraint audit_log_company_id_fkey foreign key (company_id) references companies (id),
    constraint audit_log_person_id_fkey foreign key (person_id) references people (id),
    constraint audit_log_by_somebody check (num_nonnulls(person_id, command) = 1),
    constraint audit_log_action_named check (action ~ '^[a-z_]+\.[a-z_]+$'),
    constraint audit_log_details_object check (jsonb_typeof(details) = 'object')
);

create index audit_log_company_idx on audit_log (company_id, id);
create index audit_log_person_idx on audit_log (person_id, id);
create index audit_log_subject_idx on audit_log (subject_kind, subject_id, id);

create trigger audit_log_insert_only before update or delete or truncate on audit_log
    for each statement execute function refuse_change();

insert into program_rights (privilege, object)
select 'insert', name
from unnest(array[
    'people', 'memberships', 'sessions', 'recovery_codes', 'invitations', 'password_links',
    'sign_in_failures', 'audit_log'
]) as name
union all
select 'update', name
from unnest(array[
    'people', 'memberships', 'sessions', 'recovery_codes', 'invitations', 'password_links',
    'sign_in_failures'
]) as name
union all
select 'delete', name
from unnest(array['memberships', 'sessions', 'recovery_codes', 'sign_in_failures']) as name;

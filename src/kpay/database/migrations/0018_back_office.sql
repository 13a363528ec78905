-- What the operator's back office looks at and changes: sign-ins that were refused, attempts that wait
-- for an answer, webhooks that are paused, and an application's own limits that are lifted again.
-- Lock risk: `instructions` and `webhook_endpoints` take no writes while an index of each is built; both
-- indexes hold only what is open or paused, and each is read through once for it.

-- Wrong passwords and codes, for who looks for an attack. What was typed is not kept: a person is named
-- only where the email was one of ours. They are forgotten after some weeks.
create table sign_in_refusals (
    id uuid not null,
    at timestamptz not null,
    person_id uuid,
    address text collate "C",
    code text collate "C" not null,
    constraint sign_in_refusals_pkey primary key (id),
    constraint sign_in_refusals_person_id_fkey foreign key (person_id) references people (id)
);

-- Open attempts, those that were handed to a rail longest ago first.
create index instructions_waiting_idx on instructions (environment, submitted_at)
    where status = 'PROCESSING' and submitted_at is not null;

create index webhook_endpoints_paused_idx on webhook_endpoints (paused_since)
    where paused_since is not null;

insert into program_rights (privilege, object)
values
    ('insert', 'sign_in_refusals'),
    ('delete', 'sign_in_refusals'),
    ('delete', 'application_limits');

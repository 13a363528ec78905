-- Who may use the program: companies, their applications, key pairs, token keys.
-- Lock risk: none, every table is new.

create type environment as enum ('TEST', 'PRODUCTION');

-- What this database belongs to. One row: a fingerprint of the secret that keys are hashed with, so
-- that a program started with another secret says so instead of refusing every key.
create table installation (
    only_row boolean not null default true,
    secret_fingerprint text not null,
    constraint installation_pkey primary key (only_row),
    constraint installation_one_row check (only_row)
);

create table companies (
    id uuid not null,
    name text not null,
    approved_at timestamptz,
    created_at timestamptz not null,
    constraint companies_pkey primary key (id),
    constraint companies_name_key unique (name)
);

-- Terms are configuration: null means the page's value. Fees are basis points.
create table applications (
    id uuid not null,
    company_id uuid not null,
    name text not null,
    payment_fee_bps integer not null,
    payout_fee_bps integer not null,
    allowed_providers text[],
    secret_version integer not null default 1,
    created_at timestamptz not null,
    constraint applications_pkey primary key (id),
    constraint applications_company_id_fkey foreign key (company_id) references companies (id),
    constraint applications_name_key unique (company_id, name),
    constraint applications_fees_in_range check (
        payment_fee_bps between 0 and 9999 and payout_fee_bps between 0 and 9999
    )
);

-- An application's own bounds, in hundredths, where they differ from the catalogue's.
create table application_limits (
    application_id uuid not null,
    operation text not null,
    currency text not null,
    least bigint not null,
    most bigint not null,
    constraint application_limits_pkey primary key (application_id, operation, currency),
    constraint application_limits_application_id_fkey
        foreign key (application_id) references applications (id),
    constraint application_limits_operation_known
        check (operation in ('DEPOSIT', 'PAYOUT', 'TRANSFER')),
    constraint application_limits_in_order check (0 < least and least <= most)
);

-- The secret is kept only as a keyed hash. A key is found by its public half, before its
-- application is known, so that half is unique across applications.
create table api_keys (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    api_key text not null,
    secret_hash bytea not null,
    created_at timestamptz not null,
    revoked_at timestamptz,
    constraint api_keys_pkey primary key (application_id, environment, id),
    constraint api_keys_application_id_fkey
        foreign key (application_id) references applications (id),
    constraint api_keys_api_key_key unique (api_key)
);

create unique index api_keys_one_in_force
    on api_keys (application_id, environment) where revoked_at is null;

-- Names of the keys that sign tokens; the key itself is derived from the program's secret.
create table token_keys (
    id uuid not null,
    created_at timestamptz not null,
    retired_at timestamptz,
    constraint token_keys_pkey primary key (id)
);

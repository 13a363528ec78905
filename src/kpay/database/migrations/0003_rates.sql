-- Exchange rates: every answer of a source that was used, and who is asking the sources now.
-- Lock risk: none, every table is new.
--
-- Both tables are small and shared by all applications; nothing in them belongs to a merchant.

-- One row for each time that rates were fetched, never changed and never removed: the rate of an
-- old conversion is recomputed from it. A rate is text inside the JSON, so every digit is kept.
create table rate_snapshots (
    id bigint generated always as identity,
    -- The configured list of sources, so that one configuration never uses another one's rates.
    configuration text collate "C" not null,
    source text collate "C" not null,
    as_of timestamptz not null,
    fetched_at timestamptz not null,
    rates jsonb not null,
    pairs jsonb not null,
    constraint rate_snapshots_pkey primary key (id),
    constraint rate_snapshots_rates_object check (jsonb_typeof(rates) = 'object'),
    constraint rate_snapshots_pairs_object check (jsonb_typeof(pairs) = 'object')
);

create index rate_snapshots_newest on rate_snapshots (configuration, fetched_at desc, id desc);

-- One row for each configuration. A claim ends by itself at held_until, so that a process that dies
-- while it asks blocks nobody for long; retry_at keeps everybody from asking again too soon.
create table rate_refreshes (
    configuration text collate "C" not null,
    holder uuid,
    held_until timestamptz,
    retry_at timestamptz,
    constraint rate_refreshes_pkey primary key (configuration),
    constraint rate_refreshes_held check ((holder is null) = (held_until is null))
);

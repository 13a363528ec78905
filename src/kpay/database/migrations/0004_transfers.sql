-- Transfers between the wallets of one application, with the rate each was made at.
-- Lock risk: none, the table is new.

create table transfers (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    destination_id uuid not null,
    suffix text collate "C" not null,
    external_id text collate "C",
    source_country text collate "C" not null,
    source_currency text collate "C" not null,
    source_amount bigint not null,
    destination_country text collate "C" not null,
    destination_currency text collate "C" not null,
    destination_amount bigint not null,
    rate numeric not null,
    rate_source text not null,
    rate_as_of timestamptz not null,
    rate_margin_bps integer not null,
    description text,
    created_at timestamptz not null,
    constraint transfers_pkey primary key (application_id, environment, id),
    -- Promise 4: one externalId, one transfer; it is written with the effect.
    constraint transfers_external_id_key unique (application_id, environment, external_id),
    constraint transfers_suffix_key unique (application_id, environment, suffix),
    constraint transfers_cross_a_border check (source_country <> destination_country),
    constraint transfers_amounts_positive check (source_amount > 0 and destination_amount > 0),
    constraint transfers_rate_positive check (rate > 0),
    constraint transfers_same_currency_at_one check (
        source_currency <> destination_currency
        or (rate = 1 and source_amount = destination_amount)
    )
);

create trigger transfers_insert_only before update or delete or truncate on transfers
    for each statement execute function refuse_change();

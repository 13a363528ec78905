-- The ledger: accounts, entries, postings, and what the database itself refuses to record.
-- Lock risk: none, every table is new.
--
-- Rules live in Python (ledger/model.py); guarantees live here. The balance of each entry, the
-- chain of each account and the floors are checked as postings are written, once per statement, so
-- that a batch of a thousand costs little more than one.

create table accounts (
    application_id uuid not null,
    environment environment not null,
    code text collate "C" not null,
    currency text collate "C" not null,
    balance bigint not null default 0,
    version bigint not null default 0,
    constraint accounts_pkey primary key (application_id, environment, code),
    constraint accounts_code_known check (
        split_part(code, ':', 1) in ('wallet', 'reserved', 'provider', 'fees', 'fx', 'rounding')
    ),
    -- Promise 3: no wallet and no reserved account is below zero, ever.
    constraint accounts_floor check (
        balance >= 0 or (left(code, 7) <> 'wallet:' and left(code, 9) <> 'reserved:')
    )
) with (fillfactor = 50);

-- An operation is opened by one entry (step 1) and closed by at most one (step 2): the primary key
-- is what keeps a payout from being settled twice, or settled and released.
create table entries (
    application_id uuid not null,
    environment environment not null,
    operation_id uuid not null,
    step smallint not null,
    kind text collate "C" not null,
    at timestamptz not null,
    constraint entries_pkey primary key (application_id, environment, operation_id, step),
    constraint entries_kind_known check (
        (step = 1 and kind in ('payment_completed', 'transfer', 'payout_requested'))
        or (step = 2 and kind in ('payout_completed', 'payout_released'))
    )
);

create table postings (
    application_id uuid not null,
    environment environment not null,
    operation_id uuid not null,
    step smallint not null,
    account text collate "C" not null,
    currency text collate "C" not null,
    amount bigint not null,
    balance_after bigint not null,
    version bigint not null,
    at timestamptz not null,
    constraint postings_pkey
        primary key (application_id, environment, operation_id, step, account),
    constraint postings_chain_key unique (application_id, environment, account, version),
    constraint postings_amount_moves check (amount <> 0),
    constraint postings_floor check (
        balance_after >= 0 or (left(account, 7) <> 'wallet:' and left(account, 9) <> 'reserved:')
    )
);

-- Promise 2: in every entry each currency sums to zero.
create function check_postings_balance() returns trigger language plpgsql as $$
begin
    if exists (
        select from fresh
        group by application_id, environment, operation_id, step, currency
        having sum(amount) <> 0
    ) then
        raise exception 'an entry does not sum to zero in each currency'
            using errcode = 'integrity_constraint_violation', constraint = 'postings_balance';
    end if;
    return null;
end
$$;

create trigger postings_balance after insert on postings
    referencing new table as fresh
    for each statement execute function check_postings_balance();

-- Each posting continues its account's chain, and the account stands where its chain ends.
create function check_postings_chain() returns trigger language plpgsql as $$
begin
    if exists (
        select
        from (
            select
                application_id, environment, account, amount, version, balance_after,
                lag(version) over chain as previous_version,
                lag(balance_after) over chain as previous_balance
            from fresh
            window chain as (partition by application_id, environment, account order by version)
        ) line
        left join postings earlier
            on line.previous_version is null
            and earlier.application_id = line.application_id
            and earlier.environment = line.environment
            and earlier.account = line.account
            and earlier.version = line.version - 1
        where line.version <> coalesce(line.previous_version, earlier.version, 0) + 1
            or line.balance_after
                <> coalesce(line.previous_balance, earlier.balance_after, 0) + line.amount
    ) then
        raise exception 'a posting does not continue its account''s chain'
            using errcode = 'integrity_constraint_violation', constraint = 'postings_chain';
    end if;
    if exists (
        select
        from (
            select distinct on (application_id, environment, account)
                application_id, environment, account, currency, version, balance_after
            from fresh
            order by application_id, environment, account, version desc
        ) last
        left join accounts
            on accounts.application_id = last.application_id
            and accounts.environment = last.environment
            and accounts.code = last.account
        where accounts.code is null
            or accounts.balance <> last.balance_after
            or accounts.version <> last.version
            or accounts.currency <> last.currency
    ) then
        raise exception 'an account does not stand where its postings end'
            using errcode = 'integrity_constraint_violation', constraint = 'postings_account';
    end if;
    return null;
end
$$;

create trigger postings_chain after insert on postings
    referencing new table as fresh
    for each statement execute function check_postings_chain();

-- A balance moves only with postings: an account that is changed by hand is refused. Runs after the
-- whole statement, when the postings of the same flush are there.
create function check_account_follows_postings() returns trigger language plpgsql as $$
begin
    if exists (
        select
        from changed
        left join postings
            on postings.application_id = changed.application_id
            and postings.environment = changed.environment
            and postings.account = changed.code
            and postings.version = changed.version
        where postings.balance_after is distinct from changed.balance
            or postings.currency is distinct from changed.currency
    ) then
        raise exception 'an account was changed without a posting'
            using errcode = 'integrity_constraint_violation', constraint = 'accounts_follow_postings';
    end if;
    return null;
end
$$;

create trigger accounts_follow_postings after update on accounts
    referencing new table as changed
    for each statement execute function check_account_follows_postings();

-- What is written stays written.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is insert-only', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = tg_name;
end
$$;

create trigger postings_insert_only before update or delete or truncate on postings
    for each statement execute function refuse_change();

create trigger entries_insert_only before update or delete or truncate on entries
    for each statement execute function refuse_change();

create trigger accounts_never_deleted before delete or truncate on accounts
    for each statement execute function refuse_change();

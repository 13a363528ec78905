-- One function posts: it locks, decides and writes a whole batch in one call (decision 0006), so
-- that an account is locked for as long as the database works and never while a client is busy.
-- Lock risk: each table below is locked for a moment, to change its constraints and triggers.
--
-- References are numbered from a sequence instead of drawn at random and tried against an index:
-- a million operations on, one draw in a thousand would have met a reference that exists.

create sequence reference_numbers increment by 1000 minvalue 0;

alter table transfers drop constraint transfers_suffix_key;
alter table payments drop constraint payments_suffix_key;
alter table payouts drop constraint payouts_suffix_key;

-- A posting is its account's next line: that is its key. The lines of an entry were found by an
-- index as large as the table; now by the moment of their flush, which wrote them side by side, so a
-- few bytes for each block of the table are index enough (an entry has the same `at`).
alter table postings drop constraint postings_pkey;
alter table postings drop constraint postings_chain_key;
alter table postings add constraint postings_pkey
    primary key (application_id, environment, account, version);
create index postings_at_idx on postings using brin (at)
    with (pages_per_range = 16, autosummarize = on);

-- What is due is asked for by type: without it in the index, a plan that is made while there is
-- little of one type would read all of that type to find what is due.
drop index instructions_due_idx;
create index instructions_due_idx on instructions (type, due_at) where due_at is not null;

-- What `post` is told of an account that a batch may touch, and of an order to post.
create type post_account as (
    application_id uuid,
    environment environment,
    code text,
    currency text
);

create type post_order as (
    application_id uuid,
    environment environment,
    operation_id uuid,
    step smallint,
    kind text
);

-- Promises 2 and 3 for a batch of orders, of any number of books.
--
-- The lines of all orders stand one after the other, order_lines of them for each; a line is an
-- amount on one of the accounts, by its place. An order without lines has no entry. Accounts are
-- named in one order, the same in every process, and locked in it: two batches cannot deadlock.
-- Orders are decided one after the other, as they came: one that cannot be afforded is refused and
-- its neighbours go on. `refused` holds the places of orders that the caller refuses for `reason`.
-- Returns for each order null when it is posted, or why it is not.
create function post(
    at timestamptz,
    accounts post_account [],
    orders post_order [],
    order_lines int [],
    line_accounts int [],
    line_amounts bigint [],
    refused int [],
    reason text
) returns text [] language plpgsql as $$
declare
    verdicts text [] := array_fill(null::text, array[cardinality(orders)]);
    balances bigint [];
    versions bigint [];
    floors boolean [];
    sound boolean;
    line_orders int [] := array_fill(null::int, array[cardinality(line_accounts)]);
    line_balances bigint [] := array_fill(null::bigint, array[cardinality(line_accounts)]);
    line_versions bigint [] := array_fill(null::bigint, array[cardinality(line_accounts)]);
    line int := 0;
    last_line int;
    account int;
    amount bigint;
begin
    for each in 1..coalesce(cardinality(refused), 0) loop
        verdicts[refused[each]] := reason;
    end loop;
    if cardinality(line_accounts) = 0 then
        return verdicts;
    end if;

    select
        array_agg(locked.balance), array_agg(locked.version), array_agg(locked.has_floor),
        count(*) = cardinality(post.accounts) and bool_and(locked.same_currency)
    into balances, versions, floors, sound
    from (
        select
            kept.balance, kept.version, kept.currency = wanted.currency as same_currency,
            left(kept.code, 7) = 'wallet:' or left(kept.code, 9) = 'reserved:' as has_floor
        from unnest(post.accounts) with ordinality
            as wanted (application_id, environment, code, currency, place)
        join accounts as kept
            on kept.application_id = wanted.application_id
            and kept.environment = wanted.environment
            and kept.code = wanted.code
        order by wanted.place
        for update of kept
    ) as locked;
    if not sound then
        raise exception 'an account is missing, or is kept in another currency'
            using errcode = 'integrity_constraint_violation', constraint = 'post_accounts';
    end if;

    for place in 1..cardinality(orders) loop
        last_line := line + order_lines[place];
        if verdicts[place] is null then
            for each in line + 1..last_line loop
                account := line_accounts[each];
                amount := line_amounts[each];
                if amount < 0 and floors[account] and balances[account] + amount < 0 then
                    -- Version 0: nothing was ever posted here, so to the merchant it is not there.
                    verdicts[place] :=
                        case versions[account] when 0 then 'no_wallet' else 'short_funds' end;
                    exit;
                end if;
            end loop;
        end if;
        if verdicts[place] is null then
            for each in line + 1..last_line loop
                account := line_accounts[each];
                balances[account] := balances[account] + line_amounts[each];
                versions[account] := versions[account] + 1;
                line_orders[each] := place;
                line_balances[each] := balances[account];
                line_versions[each] := versions[account];
            end loop;
        end if;
        line := last_line;
    end loop;

    with moved as (
        update accounts as kept
        set balance = reached.balance, version = reached.version
        from unnest(post.accounts, balances, versions)
            as reached (application_id, environment, code, currency, balance, version)
        where kept.application_id = reached.application_id
            and kept.environment = reached.environment
            and kept.code = reached.code
            and kept.version <> reached.version
    ),

    entered as (
        insert into entries (application_id, environment, operation_id, step, kind, at)
        select
            entry.application_id, entry.environment, entry.operation_id, entry.step, entry.kind,
            post.at
        from unnest(orders, order_lines, verdicts)
            as entry (application_id, environment, operation_id, step, kind, lines, verdict)
        where entry.lines > 0 and entry.verdict is null
    )

    insert into postings (
        application_id, environment, operation_id, step, account, currency,
        amount, balance_after, version, at
    )
    select
        (orders[line.place]).application_id, (orders[line.place]).environment,
        (orders[line.place]).operation_id, (orders[line.place]).step,
        (post.accounts[line.account]).code, (post.accounts[line.account]).currency,
        line.amount, line.balance, line.version, post.at
    from unnest(line_orders, line_accounts, line_amounts, line_balances, line_versions)
        as line (place, account, amount, balance, version)
    where line.place is not null;

    return verdicts;
end
$$;

-- The records that are written in the same statement, as the program hands them over: one value for
-- each operation, so that a batch is one array and a new column changes no old program's.
create type new_transfer as (
    application_id uuid,
    environment environment,
    id uuid,
    destination_id uuid,
    suffix text,
    external_id text,
    source_country text,
    source_currency text,
    source_amount bigint,
    destination_country text,
    destination_currency text,
    destination_amount bigint,
    rate numeric,
    rate_source text,
    rate_as_of timestamptz,
    rate_margin_bps integer,
    description text,
    created_at timestamptz
);

create type new_payout as (
    application_id uuid,
    environment environment,
    id uuid,
    suffix text,
    external_id text,
    source_country text,
    currency text,
    amount bigint,
    fee bigint,
    provider text,
    country text,
    phone_number text,
    payout_currency text,
    payout_amount bigint,
    rate numeric,
    rate_source text,
    rate_as_of timestamptz,
    rate_margin_bps integer,
    description text,
    metadata jsonb,
    created_at timestamptz,
    -- What its instruction has of its own.
    reference uuid,
    sent_amount bigint
);

create type new_payment as (
    application_id uuid,
    environment environment,
    id uuid,
    suffix text,
    external_id text,
    provider text,
    country text,
    phone_number text,
    currency text,
    amount bigint,
    fee bigint,
    customer_name text,
    customer_email text,
    description text,
    metadata jsonb,
    created_at timestamptz,
    -- What its instruction has of its own.
    reference uuid
);

create type instruction_step as (
    application_id uuid,
    environment environment,
    id uuid,
    expected instruction_status,
    status instruction_status,
    failure_code text,
    next_action text,
    due_at timestamptz,
    at timestamptz,
    attempt integer,
    outcome text,
    evidence jsonb,
    event text
);

-- The chain of each account is looked at once for each account of a batch, and no more for each
-- line: the lines of an account follow the one before them without a gap, and the account has moved
-- by their sum to where they end. (Their versions are unique; where each line within them ends is
-- what `kpay verify` recomputes.)
create or replace function check_postings_chain() returns trigger language plpgsql as $$
declare
    broken boolean;
    adrift boolean;
begin
    select
        bool_or(
            moved.lines <> moved.newest - moved.oldest + 1
            or moved.oldest <> coalesce(earlier.version, 0) + 1
        ),
        bool_or(
            kept.version is distinct from moved.newest
            or kept.balance is distinct from coalesce(earlier.balance_after, 0) + moved.total
            or kept.currency <> moved.currency
            or moved.currency <> moved.other_currency
        )
    into broken, adrift
    from (
        select
            application_id, environment, account,
            count(*) as lines, sum(amount) as total,
            min(version) as oldest, max(version) as newest,
            min(currency) as currency, max(currency) as other_currency
        from fresh
        group by application_id, environment, account
    ) as moved
    left join postings as earlier
        on earlier.application_id = moved.application_id
        and earlier.environment = moved.environment
        and earlier.account = moved.account
        and earlier.version = moved.oldest - 1
    left join accounts as kept
        on kept.application_id = moved.application_id
        and kept.environment = moved.environment
        and kept.code = moved.account;
    if broken then
        raise exception 'a posting does not continue its account''s chain'
            using errcode = 'integrity_constraint_violation', constraint = 'postings_chain';
    end if;
    if adrift then
        raise exception 'an account does not stand where its postings end'
            using errcode = 'integrity_constraint_violation', constraint = 'postings_account';
    end if;
    return null;
end
$$;

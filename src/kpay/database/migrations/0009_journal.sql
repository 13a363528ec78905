-- The journal: the entries of a book (one application in one environment) are numbered and each is
-- chained to the one before it by a hash, so that whatever is changed, added or taken away later is
-- found by `kpay verify` (decision 0009). `post` and `open_accounts` are the only writers of the
-- ledger: they run with the rights of the schema's owner, and the program's own role has none.
-- Lock risk: every entry is numbered in place, one after the other, with all of the ledger locked:
-- on large books that takes long. No older program may run beside it or afterwards.

-- One row for each book: how many entries it has, and the hash and the moment of the last one. Who
-- posts to a book locks its row first, so entries come one after the other and accounts need no lock
-- of their own.
create table journals (
    application_id uuid not null,
    environment environment not null,
    entries bigint not null default 0,
    hash bytea not null,
    at timestamptz not null default '-infinity',
    constraint journals_pkey primary key (application_id, environment)
) with (fillfactor = 50);

create trigger journals_never_deleted before delete or truncate on journals
    for each statement execute function refuse_change();

-- See 0006: before there are rows, the planner is told what the columns of the key are like.
select
    pg_restore_attribute_stats(
        'schemaname', current_schema()::text,
        'relname', 'journals',
        'attname', attribute,
        'inherited', false,
        'null_frac', 0::real,
        'avg_width', 16,
        'n_distinct', n_distinct::real
    )
from (values ('application_id', -0.5), ('environment', 2)) as expected (attribute, n_distinct);

-- What a journal's first entry is chained to.
create function journal_start(application_id uuid, environment environment) returns bytea
language sql stable as $$
    select sha256(uuid_send(application_id) || convert_to(environment::text, 'UTF8'))
$$;

-- A line as its entry's hash has it: the lines of an entry follow one another by account.
create function posting_text(
    account text, currency text, amount bigint, version bigint, balance_after bigint
) returns text language sql stable as $$
    select concat_ws(' ', account, currency, amount, version, balance_after) || e'\n'
$$;

-- The hash of an entry: of the one before it, and of everything that the entry and its lines say.
create function entry_hash(
    before bytea, operation_id uuid, step smallint, kind text, at timestamptz, lines text
) returns bytea language sql stable as $$
    select sha256(
        before || timestamptz_send(at)
        || convert_to(concat_ws(' ', operation_id, step, kind) || e'\n' || lines, 'UTF8')
    )
$$;

-- An application has its two journals from the beginning.
create function open_journals() returns trigger language plpgsql security definer as $$
begin
    insert into journals (application_id, environment, hash)
    select new.id, environment, journal_start(new.id, environment)
    from unnest(enum_range(null::environment)) as environment;
    return null;
end
$$;

create trigger applications_open_journals after insert on applications
    for each row execute function open_journals();

insert into journals (application_id, environment, hash)
select applications.id, environment, journal_start(applications.id, environment)
from applications, unnest(enum_range(null::environment)) as environment;

-- The entries that are there, in the order of their moments.
alter table entries add column number bigint;
alter table entries add column hash bytea;
alter table entries disable trigger entries_insert_only;

do $$
declare
    entry record;
    head journals;
begin
    for entry in
        select
            entries.application_id, entries.environment, entries.operation_id, entries.step,
            entries.kind, entries.at, lines.text
        from entries
        join (
            select
                application_id, environment, operation_id, step,
                string_agg(
                    posting_text(account, currency, amount, version, balance_after), ''
                    order by account
                ) as text
            from postings
            group by application_id, environment, operation_id, step
        ) as lines using (application_id, environment, operation_id, step)
        order by application_id, environment, at, operation_id, step
    loop
        if head.application_id is distinct from entry.application_id
            or head.environment is distinct from entry.environment then
            update journals set entries = head.entries, hash = head.hash, at = head.at
            where application_id = head.application_id and environment = head.environment;
            select * into strict head from journals
            where application_id = entry.application_id and environment = entry.environment;
        end if;
        head.entries := head.entries + 1;
        head.at := entry.at;
        head.hash := entry_hash(
            head.hash, entry.operation_id, entry.step, entry.kind, entry.at, entry.text
        );
        update entries set number = head.entries, hash = head.hash
        where application_id = entry.application_id and environment = entry.environment
            and operation_id = entry.operation_id and step = entry.step;
    end loop;
    update journals set entries = head.entries, hash = head.hash, at = head.at
    where application_id = head.application_id and environment = head.environment;
end
$$;

alter table entries alter column number set not null, alter column hash set not null;
alter table entries enable trigger entries_insert_only;

-- A journal is read from front to back by its moments, which never go backwards within a book: a
-- few bytes for each block of the table are index enough.
create index entries_at_idx on entries using brin (at)
    with (pages_per_range = 16, autosummarize = on);

-- Nobody but `post` writes accounts and postings now, and it leaves every account where its postings
-- end: what the triggers looked at again in the same statement, `kpay verify` and the hashes hold.
drop trigger postings_chain on postings;
drop function check_postings_chain();
drop trigger accounts_follow_postings on accounts;
drop function check_account_follows_postings();

-- Nor is an account's code ever changed: it is looked at when the account is opened, and no more each
-- time it moves.
alter table accounts drop constraint accounts_code_known;

create function check_account_code() returns trigger language plpgsql as $$
begin
    if split_part(new.code, ':', 1)
        not in ('wallet', 'reserved', 'provider', 'fees', 'fx', 'rounding') then
        raise exception 'there is no account of the kind of %', new.code
            using errcode = 'integrity_constraint_violation', constraint = 'accounts_code_known';
    end if;
    return new;
end
$$;

create trigger accounts_code_known before insert or update of code on accounts
    for each row execute function check_account_code();

create function open_accounts(
    application_ids uuid [], environments environment [], codes text [], currencies text []
) returns void language sql security definer as $$
    insert into accounts (application_id, environment, code, currency)
    select application_id, environment, code, currency
    from unnest(application_ids, environments, codes, currencies)
        as wanted (application_id, environment, code, currency)
    order by application_id, environment, code
    on conflict on constraint accounts_pkey do nothing
$$;

drop function post;
drop type post_account;
drop type post_order;

-- What `post` is told. Books, accounts and orders are named by their places in their arrays.
create type post_book as (application_id uuid, environment environment);
create type post_account as (book integer, code text, currency text);
create type post_order as (book integer, operation_id uuid, step smallint, kind text);

-- Promises 2 and 3 for a batch of orders, of any number of books.
--
-- The lines of all orders stand one after the other, order_lines of them for each, by account; a
-- line is an amount on one of the accounts. An order without lines has no entry. Books are named in
-- one order, the same in every process, and locked in it: two batches cannot deadlock. Orders are
-- decided one after the other, as they came: one that cannot be afforded is refused and its
-- neighbours go on. `refused` holds the places of orders that the caller refuses for `reason`.
-- Returns for each order null when it is posted, or why it is not.
create function post(
    at timestamptz,
    books post_book [],
    accounts post_account [],
    orders post_order [],
    order_lines int [],
    line_accounts int [],
    line_amounts bigint [],
    refused int [],
    reason text
) returns text [] language plpgsql security definer as $$
declare
    verdicts text [] := array_fill(null::text, array[cardinality(orders)]);
    numbers bigint [];
    hashes bytea [];
    moments timestamptz [];
    balances bigint [];
    versions bigint [];
    floors boolean [];
    sound boolean;
    order_numbers bigint [] := array_fill(null::bigint, array[cardinality(orders)]);
    order_hashes bytea [] := array_fill(null::bytea, array[cardinality(orders)]);
    line_orders int [] := array_fill(null::int, array[cardinality(line_accounts)]);
    line_balances bigint [] := array_fill(null::bigint, array[cardinality(line_accounts)]);
    line_versions bigint [] := array_fill(null::bigint, array[cardinality(line_accounts)]);
    line int := 0;
    last_line int;
    account int;
    amount bigint;
    book int;
    told text;
begin
    for each in 1..coalesce(cardinality(refused), 0) loop
        verdicts[refused[each]] := reason;
    end loop;
    if cardinality(line_accounts) = 0 then
        return verdicts;
    end if;

    select
        array_agg(locked.entries), array_agg(locked.hash),
        -- The clocks of two processes differ by a little: within a book time does not go backwards.
        array_agg(greatest(locked.at, post.at)),
        count(*) = cardinality(books)
    into numbers, hashes, moments, sound
    from (
        select kept.entries, kept.hash, kept.at
        from unnest(books) with ordinality as wanted (application_id, environment, place)
        join journals as kept
            on kept.application_id = wanted.application_id
            and kept.environment = wanted.environment
        order by wanted.place
        for update of kept
    ) as locked;
    if not sound then
        raise exception 'a book is missing'
            using errcode = 'integrity_constraint_violation', constraint = 'post_books';
    end if;

    select
        array_agg(named.balance), array_agg(named.version), array_agg(named.has_floor),
        count(*) = cardinality(post.accounts) and bool_and(named.same_currency)
    into balances, versions, floors, sound
    from (
        select
            kept.balance, kept.version, kept.currency = wanted.currency as same_currency,
            left(kept.code, 7) = 'wallet:' or left(kept.code, 9) = 'reserved:' as has_floor
        from unnest(post.accounts) with ordinality as wanted (book, code, currency, place)
        join accounts as kept
            on kept.application_id = (books[wanted.book]).application_id
            and kept.environment = (books[wanted.book]).environment
            and kept.code = wanted.code
        order by wanted.place
    ) as named;
    if not sound then
        raise exception 'an account is missing, or is kept in another currency'
            using errcode = 'integrity_constraint_violation', constraint = 'post_accounts';
    end if;

    for place in 1..cardinality(orders) loop
        last_line := line + order_lines[place];
        if last_line > line and verdicts[place] is null then
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
            if verdicts[place] is null then
                told := '';
                for each in line + 1..last_line loop
                    account := line_accounts[each];
                    balances[account] := balances[account] + line_amounts[each];
                    versions[account] := versions[account] + 1;
                    line_orders[each] := place;
                    line_balances[each] := balances[account];
                    line_versions[each] := versions[account];
                    told := told || posting_text(
                        (accounts[account]).code, (accounts[account]).currency,
                        line_amounts[each], versions[account], balances[account]
                    );
                end loop;
                book := (orders[place]).book;
                numbers[book] := numbers[book] + 1;
                hashes[book] := entry_hash(
                    hashes[book], (orders[place]).operation_id, (orders[place]).step,
                    (orders[place]).kind, moments[book], told
                );
                order_numbers[place] := numbers[book];
                order_hashes[place] := hashes[book];
            end if;
        end if;
        line := last_line;
    end loop;

    with advanced as (
        update journals as kept
        set entries = reached.entries, hash = reached.hash, at = reached.at
        from unnest(books, numbers, hashes, moments)
            as reached (application_id, environment, entries, hash, at)
        where kept.application_id = reached.application_id
            and kept.environment = reached.environment
            and kept.entries <> reached.entries
    ),

    moved as (
        update accounts as kept
        set balance = reached.balance, version = reached.version
        from unnest(post.accounts, balances, versions)
            as reached (book, code, currency, balance, version)
        where kept.application_id = (books[reached.book]).application_id
            and kept.environment = (books[reached.book]).environment
            and kept.code = reached.code
            and kept.version <> reached.version
    ),

    entered as (
        insert into entries (
            application_id, environment, operation_id, step, kind, at, number, hash
        )
        select
            (books[entry.book]).application_id, (books[entry.book]).environment,
            entry.operation_id, entry.step, entry.kind, moments[entry.book],
            entry.number, entry.hash
        from unnest(orders, order_numbers, order_hashes)
            as entry (book, operation_id, step, kind, number, hash)
        where entry.number is not null
    )

    insert into postings (
        application_id, environment, operation_id, step, account, currency,
        amount, balance_after, version, at
    )
    select
        (books[entry.book]).application_id, (books[entry.book]).environment,
        entry.operation_id, entry.step,
        entry.code, entry.currency, entry.amount, entry.balance, entry.version,
        moments[entry.book]
    from (
        select
            (orders[line.place]).*,
            (post.accounts[line.account]).code, (post.accounts[line.account]).currency,
            line.amount, line.balance, line.version
        from unnest(line_orders, line_accounts, line_amounts, line_balances, line_versions)
            as line (place, account, amount, balance, version)
        where line.place is not null
    ) as entry;

    return verdicts;
end
$$;

-- What the program's own role may do: a migration that makes a table writes this anew. It can read
-- everything, and write the ledger by `post` and `open_accounts` alone; what it writes once
-- (transfers, payments, payouts, events) it can never change or take away.
create function grant_to_program(program name) returns void language plpgsql as $$
declare
    here text := quote_ident(current_schema());
    whom text := quote_ident(program);
    words text;
begin
    foreach words in array array[
        'revoke all on all tables in schema ' || here || ' from ',
        'grant usage on schema ' || here || ' to ',
        'grant select on all tables in schema ' || here || ' to ',
        'grant usage on all sequences in schema ' || here || ' to ',
        'grant execute on function post, open_accounts, open_journals to ',
        'grant insert on
            installation, companies, applications, application_limits, api_keys, token_keys,
            rate_snapshots, rate_refreshes, transfers, payments, payouts, instructions, attempts,
            events, sandbox_verdicts to ',
        'grant update on
            companies, applications, application_limits, api_keys, token_keys, rate_refreshes,
            instructions, attempts to '
    ] loop
        execute words || whom;
    end loop;
end
$$;

-- The functions that write with their owner's rights look nowhere else for their tables, and nobody may
-- call them who was not given the right.
do $$
declare
    writer regprocedure;
begin
    foreach writer in array array[
        'open_journals'::regproc, 'open_accounts'::regproc, 'post'::regproc,
        'grant_to_program'::regproc
    ]::regprocedure[] loop
        execute format(
            'alter function %s set search_path = %I, pg_temp', writer, current_schema()
        );
        execute format('revoke all on function %s from public', writer);
    end loop;
end
$$;

-- What is written beside an entry no longer repeats its book, which the order names, nor a quote that
-- it shares with others of its batch.
create type quote as (rate numeric, source text, as_of timestamptz, margin_bps integer);

alter type new_transfer
    drop attribute application_id, drop attribute environment, drop attribute rate,
    drop attribute rate_source, drop attribute rate_as_of, drop attribute rate_margin_bps,
    add attribute quote integer;
alter type new_payout
    drop attribute application_id, drop attribute environment, drop attribute rate,
    drop attribute rate_source, drop attribute rate_as_of, drop attribute rate_margin_bps,
    add attribute quote integer;
alter type new_payment drop attribute application_id, drop attribute environment;
alter type instruction_step drop attribute application_id, drop attribute environment;

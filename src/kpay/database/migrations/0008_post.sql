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

-- Promises 2 and 3 for a batch of orders, of any number of books. Arrays of one letter's prefix have
-- one element each for: a book, an account (of book number account_books), an order (with its entry,
-- unless its kind is null), a line of an entry (order by order, order_lines of them each).
--
-- The caller names accounts in one order, the same in every process, and they are locked in it: two
-- batches cannot deadlock. Orders are decided one after the other, as they came: one that cannot be
-- afforded is refused and its neighbours go on. `refused` holds the positions that the caller refuses
-- for `reason`. Returns for each order null when it is posted, or why it is not.
create function post(
    at timestamptz,
    book_applications uuid [],
    book_environments environment [],
    account_books int [],
    account_codes text [],
    account_currencies text [],
    order_books int [],
    order_operations uuid [],
    order_steps smallint [],
    order_kinds text [],
    order_lines int [],
    line_accounts int [],
    line_amounts bigint [],
    refused int [],
    reason text
) returns text [] language plpgsql as $$
declare
    verdicts text [] := array_fill(null::text, array[cardinality(order_books)]);
    balances bigint [];
    versions bigint [];
    currencies text [];
    floors boolean [];
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
        array_agg(locked.balance), array_agg(locked.version), array_agg(locked.currency),
        array_agg(left(locked.code, 7) = 'wallet:' or left(locked.code, 9) = 'reserved:')
    into balances, versions, currencies, floors
    from (
        select accounts.code, accounts.currency, accounts.balance, accounts.version
        from unnest(account_books, account_codes) with ordinality as wanted (book, code, position)
        join accounts
            on accounts.application_id = book_applications[wanted.book]
            and accounts.environment = book_environments[wanted.book]
            and accounts.code = wanted.code
        order by wanted.position
        for update of accounts
    ) as locked;
    if currencies is distinct from account_currencies then
        raise exception 'an account is missing, or is kept in another currency'
            using errcode = 'integrity_constraint_violation', constraint = 'post_accounts';
    end if;

    for position in 1..cardinality(order_books) loop
        last_line := line + order_lines[position];
        if verdicts[position] is null then
            for each in line + 1..last_line loop
                account := line_accounts[each];
                amount := line_amounts[each];
                if amount < 0 and floors[account] and balances[account] + amount < 0 then
                    -- Version 0: nothing was ever posted here, so to the merchant it is not there.
                    verdicts[position] :=
                        case versions[account] when 0 then 'no_wallet' else 'short_funds' end;
                    exit;
                end if;
            end loop;
        end if;
        if verdicts[position] is null then
            for each in line + 1..last_line loop
                account := line_accounts[each];
                balances[account] := balances[account] + line_amounts[each];
                versions[account] := versions[account] + 1;
                line_orders[each] := position;
                line_balances[each] := balances[account];
                line_versions[each] := versions[account];
            end loop;
        end if;
        line := last_line;
    end loop;

    with moved as (
        update accounts
        set balance = reached.balance, version = reached.version
        from unnest(account_books, account_codes, balances, versions)
            as reached (book, code, balance, version)
        where accounts.application_id = book_applications[reached.book]
            and accounts.environment = book_environments[reached.book]
            and accounts.code = reached.code
            and accounts.version <> reached.version
    ),

    entered as (
        insert into entries (application_id, environment, operation_id, step, kind, at)
        select
            book_applications[entry.book], book_environments[entry.book],
            entry.operation_id, entry.step, entry.kind, post.at
        from unnest(order_books, order_operations, order_steps, order_kinds, verdicts)
            as entry (book, operation_id, step, kind, verdict)
        where entry.kind is not null and entry.verdict is null
    )

    insert into postings (
        application_id, environment, operation_id, step, account, currency,
        amount, balance_after, version, at
    )
    select
        book_applications[order_books[line.position]], book_environments[order_books[line.position]],
        order_operations[line.position], order_steps[line.position],
        account_codes[line.account], account_currencies[line.account],
        line.amount, line.balance, line.version, post.at
    from unnest(line_orders, line_accounts, line_amounts, line_balances, line_versions)
        as line (position, account, amount, balance, version)
    where line.position is not null;

    return verdicts;
end
$$;

-- An account moves by exactly its new postings: their number, their sum, and where they end. With
-- the uniqueness of (account, version) that is the whole chain, looked at once for each account
-- that moved; the trigger before this one did the same for each line, and the account once more.
drop trigger postings_chain on postings;
drop function check_postings_chain;
drop trigger accounts_follow_postings on accounts;
drop function check_account_follows_postings;

create function check_account_follows_postings() returns trigger language plpgsql as $$
begin
    if exists (
        select
        from before
        join now using (application_id, environment, code)
        cross join lateral (
            select
                count(*) as lines, sum(postings.amount) as total,
                bool_and(postings.currency = now.currency) as same_currency,
                max(postings.balance_after) filter (where postings.version = now.version) as reached
            from postings
            where postings.application_id = now.application_id
                and postings.environment = now.environment
                and postings.account = now.code
                and postings.version > before.version
                and postings.version <= now.version
        ) as fresh
        where fresh.lines <> now.version - before.version
            or fresh.lines = 0
            or fresh.total <> now.balance - before.balance
            or fresh.reached is distinct from now.balance
            or not fresh.same_currency
    ) then
        raise exception 'an account was changed without its postings'
            using errcode = 'integrity_constraint_violation', constraint = 'accounts_follow_postings';
    end if;
    return null;
end
$$;

create trigger accounts_follow_postings after update on accounts
    referencing old table as before new table as now
    for each statement execute function check_account_follows_postings();

-- And a posting is only written where its account moved: one that is put in by hand does not end
-- where its account stands.
create function check_postings_move_accounts() returns trigger language plpgsql as $$
begin
    if exists (
        select
        from (
            select application_id, environment, account, max(version) as version
            from fresh
            group by application_id, environment, account
        ) as last
        left join accounts
            on accounts.application_id = last.application_id
            and accounts.environment = last.environment
            and accounts.code = last.account
        where accounts.version is distinct from last.version
    ) then
        raise exception 'a posting was written without its account''s moving'
            using errcode = 'integrity_constraint_violation', constraint = 'postings_move_accounts';
    end if;
    return null;
end
$$;

create trigger postings_move_accounts after insert on postings
    referencing new table as fresh
    for each statement execute function check_postings_move_accounts();

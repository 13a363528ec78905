-- The baseline: the least that a ledger can do for one transfer, in one transaction of its own.
-- Both accounts are locked in order, funds are checked, two balances move, one transfer and two
-- lines are written.

create table accounts (
    id integer primary key,
    balance bigint not null check (balance >= 0)
) with (fillfactor = 50);

create table transfers (
    id bigint generated always as identity primary key,
    source integer not null,
    destination integer not null,
    amount bigint not null,
    at timestamptz not null default now()
);

create table lines (
    transfer_id bigint not null,
    account_id integer not null,
    amount bigint not null,
    balance_after bigint not null,
    primary key (transfer_id, account_id)
);

insert into accounts select number, 1000000000000 from generate_series(1, 20000) as number;

create function post(given integer, taken integer, moved bigint) returns bigint language plpgsql as $$
declare
    made bigint;
    left_over bigint;
    come_to bigint;
begin
    perform from accounts where id in (given, taken) order by id for update;
    update accounts set balance = balance - moved where id = given returning balance into left_over;
    update accounts set balance = balance + moved where id = taken returning balance into come_to;
    insert into transfers (source, destination, amount) values (given, taken, moved)
    returning id into made;
    insert into lines values (made, given, -moved, left_over), (made, taken, moved, come_to);
    return made;
end
$$;

-- What the program's own role may do becomes data: a migration that makes a table says beside it what
-- the program may write there, and no longer has to repeat what was said of all the others.
-- Lock risk: none, the table is new.

create table program_rights (
    privilege text collate "C" not null,
    object text collate "C" not null,
    constraint program_rights_pkey primary key (object, privilege),
    constraint program_rights_privilege_known check (
        privilege in ('insert', 'update', 'delete', 'execute')
    )
);

-- It can read everything, and write the ledger by `post` and `open_accounts` alone; what it writes once
-- (transfers, payments, payouts, events) it can never change or take away.
insert into program_rights (privilege, object)
select 'execute', 'function ' || name
from unnest(array['post', 'open_accounts', 'open_journals']) as name
union all
select 'insert', name
from unnest(array[
    'installation', 'companies', 'applications', 'application_limits', 'api_keys', 'token_keys',
    'rate_snapshots', 'rate_refreshes', 'transfers', 'payments', 'payouts', 'instructions',
    'attempts', 'events', 'sandbox_verdicts'
]) as name
union all
select 'update', name
from unnest(array[
    'companies', 'applications', 'application_limits', 'api_keys', 'token_keys', 'rate_refreshes',
    'instructions', 'attempts'
]) as name;

create or replace function grant_to_program(program name) returns void language plpgsql as $$
declare
    here text := quote_ident(current_schema());
    whom text := quote_ident(program);
    given record;
begin
    execute 'revoke all on all tables in schema ' || here || ' from ' || whom;
    execute 'grant usage on schema ' || here || ' to ' || whom;
    execute 'grant select on all tables in schema ' || here || ' to ' || whom;
    execute 'grant usage on all sequences in schema ' || here || ' to ' || whom;
    for given in select privilege, object from program_rights loop
        execute format('grant %s on %s to %s', given.privilege, given.object, whom);
    end loop;
end
$$;

-- What replaces a function leaves its settings behind: it looks for its tables in this schema alone.
do $$
begin
    execute format(
        'alter function grant_to_program set search_path = %I, pg_temp', current_schema()
    );
end
$$;

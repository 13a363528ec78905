-- What the program's own role may do, said anew after every migration. `:role` and `:schema` are put
-- in by grants.py. The ledger is written by `post` and `open_accounts` alone, which run as the
-- schema's owner: this role can neither add a line to it nor change or take one away, and what it
-- writes once (transfers, payments, payouts, events) it can never change either.
revoke all on all tables in schema :schema from :role;
grant usage on schema :schema to :role;
grant select on all tables in schema :schema to :role;
grant usage on all sequences in schema :schema to :role;
grant execute on all functions in schema :schema to :role;

grant insert on
    installation, companies, applications, application_limits, api_keys, token_keys,
    rate_snapshots, rate_refreshes, transfers, payments, payouts, instructions, attempts, events,
    sandbox_verdicts
to :role;

grant update on
    companies, applications, application_limits, api_keys, token_keys, rate_refreshes,
    instructions, attempts
to :role;

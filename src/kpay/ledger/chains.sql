-- name: entries_chained
-- 11. Every entry is numbered and chained to the one before it, and says what it said when written.
with told as (
    select
        application_id, environment, operation_id, step,
        string_agg(
            posting_text(account, currency, amount, version, balance_after), ''
            order by account, version
        ) as lines
    from postings
    where at > $1 and at <= $2
    group by application_id, environment, operation_id, step
),

chained as (
    select
        entries.application_id, entries.environment, entries.operation_id, entries.step,
        entries.number, entries.hash,
        coalesce(lag(entries.number) over journal, head.number, 0) as number_before,
        entry_hash(
            coalesce(
                lag(entries.hash) over journal, head.hash,
                journal_start(entries.application_id, entries.environment)
            ),
            entries.operation_id, entries.step, entries.kind, entries.at, told.lines
        ) as hash_again
    from entries
    left join told using (application_id, environment, operation_id, step)
    left join unnest($3::uuid[], $4::environment[], $5::bigint[], $6::bytea[])
        as head (application_id, environment, number, hash) using (application_id, environment)
    where entries.at > $1 and entries.at <= $2
    window journal as (partition by application_id, environment order by entries.number)
)

select application_id, environment::text, number, operation_id, step
from chained
where number <> number_before + 1 or hash is distinct from hash_again;

-- name: journals_end
-- 11. Every journal ends with the last of its entries.
select
    journals.application_id, journals.environment::text, journals.entries as expected,
    head.number as found
from journals
full join unnest($1::uuid[], $2::environment[], $3::bigint[], $4::bytea[])
    as head (application_id, environment, number, hash) using (application_id, environment)
where journals.entries is distinct from coalesce(head.number, 0)
    or journals.hash is distinct from
        coalesce(head.hash, journal_start(journals.application_id, journals.environment));

-- name: earlier_ends_kept
-- 11. Where a journal ended in an earlier report, it still has that entry.
select
    earlier.application_id, earlier.environment::text, earlier.number, entries.operation_id
from unnest($1::uuid[], $2::environment[], $3::bigint[], $4::bytea[])
    as earlier (application_id, environment, number, hash)
left join entries using (application_id, environment, number)
where earlier.number > 0 and entries.hash is distinct from earlier.hash;

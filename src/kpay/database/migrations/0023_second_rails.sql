-- A second rail: what one rail has refused for a reason of its own goes on at the next one, under another
-- reference. The references that came before stay on record, each with the rail that had it.
-- Lock risk: instructions is locked for a moment to change a constraint and to gain a trigger, and is read
-- once to see that it holds to the constraint; the table is new.

-- Attempts of before may be of another rail's reference now, where there is no page as well.
alter table instructions
    drop constraint instructions_hosted_whole,
    add constraint instructions_hosted_whole
        check (choice is null or earlier_attempts is not null);

-- A reference that a rail was handed and has refused, before its operation went on at another rail.
create table earlier_rails (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    -- The attempt whose answer refused it.
    attempt integer not null,
    -- The choice of a hosted page that it was of.
    choice integer,
    reference uuid not null,
    connector text collate "C" not null,
    provider text collate "C" not null,
    currency text collate "C" not null,
    amount bigint not null,
    submitted_at timestamptz not null,
    went_on_at timestamptz not null,
    constraint earlier_rails_pkey primary key (application_id, environment, id, attempt)
);

-- A callback and a statement name nothing but the reference.
create index earlier_rails_reference_idx on earlier_rails (reference);

create trigger earlier_rails_insert_only before update or delete or truncate on earlier_rails
    for each statement execute function refuse_change();

-- Promise 5: never two references alive at once. Another one is taken only when a rail has refused the
-- one before for certain. Where it did so in answer to being handed it, that was the only time that it
-- was: otherwise another copy of it may be on its way yet, and be taken. And what has a rail stays with
-- it under its reference.
create function check_one_reference() returns trigger language plpgsql as $$
declare
    handed_over int;
    refused boolean;
    found_refused boolean;
    used boolean;
begin
    if new.reference = old.reference then
        raise exception 'a reference stays with the rail that has it'
            using errcode = 'integrity_constraint_violation',
            constraint = 'instructions_one_reference';
    end if;
    select
        count(*) filter (where same and action = 'submit'),
        coalesce(bool_or(same and outcome = 'refused'), false),
        coalesce(bool_or(same and outcome = 'refused' and action = 'check'), false),
        coalesce(bool_or(again), false)
    into handed_over, refused, found_refused, used
    from (
        select
            action, outcome, sent ->> 'reference' = old.reference::text as same,
            sent ->> 'reference' = new.reference::text as again
        from attempts
        where application_id = new.application_id and environment = new.environment
            and instruction_id = new.id
    ) as told;
    if used
        or (handed_over > 0 and not refused)
        -- On a page somebody looks at it in between, and picks anew.
        or (old.status = 'PROCESSING' and not found_refused and handed_over <> 1)
    then
        raise exception 'another reference, while the one before may be carried out yet'
            using errcode = 'integrity_constraint_violation',
            constraint = 'instructions_one_reference';
    end if;
    return null;
end
$$;

-- After the statement, which writes the answer that refused beside it.
create trigger instructions_one_reference after update on instructions
    for each row
    when (
        old.reference <> new.reference
        or (old.connector is not null and old.connector is distinct from new.connector)
    )
    execute function check_one_reference();

-- Where a step leads on to.
alter type instruction_step
    add attribute onward_connector text,
    add attribute onward_reference uuid;

-- See 0006: before there are rows, the planner is told what the columns of the key are like.
select
    pg_restore_attribute_stats(
        'schemaname', current_schema()::text,
        'relname', 'earlier_rails',
        'attname', attribute,
        'inherited', false,
        'null_frac', 0::real,
        'avg_width', 16,
        'n_distinct', n_distinct::real
    )
from (
    values
        ('application_id', 1), ('environment', 1), ('id', -0.9), ('attempt', 5), ('reference', -1)
) as expected (attribute, n_distinct);

insert into program_rights (privilege, object) values ('insert', 'earlier_rails');

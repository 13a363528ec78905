-- Contradictions: what a rail tells of an operation against what is settled is held for an operator.
-- Lock risk: attempts and instructions are read once, for what was kept with attempts before; the table
-- is new.

-- Found once, with the evidence. What is told again, by another answer or in a statement, is the same.
create table contradictions (
    application_id uuid not null,
    environment environment not null,
    instruction_id uuid not null,
    what text collate "C" not null,
    -- Ours, which the rail spoke of: an earlier choice on a hosted page has its own.
    reference uuid not null,
    connector text collate "C" not null,
    -- The attempt whose answer said so; null where the rail's statement did.
    attempt integer,
    evidence jsonb not null,
    found_at timestamptz not null,
    decision text collate "C",
    note text,
    settled_by text,
    settled_at timestamptz,
    constraint contradictions_pkey
        primary key (application_id, environment, instruction_id, what, reference),
    constraint contradictions_what_known check (
        what in (
            'paid_after_failed', 'paid_after_cancelled', 'paid_after_refused',
            'refused_after_completed', 'paid_differently'
        )
    ),
    constraint contradictions_decision_known check (decision in ('noted')),
    constraint contradictions_settled_whole
        check (num_nulls(decision, note, settled_by, settled_at) in (0, 4))
);

create index contradictions_found_idx on contradictions (found_at);
create index contradictions_instruction_idx on contradictions (instruction_id);
create index contradictions_open_idx on contradictions (found_at) where settled_at is null;

-- What was found is evidence: it is settled once, and otherwise stays as it is.
create function check_contradiction_settled() returns trigger language plpgsql as $$
begin
    if old.settled_at is not null or new.settled_at is null
        or (
            new.application_id, new.environment, new.instruction_id, new.what, new.reference,
            new.connector, new.attempt, new.evidence, new.found_at
        ) is distinct from (
            old.application_id, old.environment, old.instruction_id, old.what, old.reference,
            old.connector, old.attempt, old.evidence, old.found_at
        )
    then
        raise exception 'a contradiction can only be settled, and once'
            using errcode = 'integrity_constraint_violation', constraint = 'contradictions_settled_once';
    end if;
    return new;
end
$$;

create trigger contradictions_settled_once before update on contradictions
    for each row execute function check_contradiction_settled();
create trigger contradictions_never_deleted before delete or truncate on contradictions
    for each statement execute function refuse_change();

-- A step on the way can carry one too: the rail has moved something else than it was told to.
alter type instruction_step add attribute contradiction text;

insert into program_rights (privilege, object) values
    ('insert', 'contradictions'), ('update', 'contradictions');

-- What spoke against an end so far was kept with its attempt alone.
insert into contradictions (
    application_id, environment, instruction_id, what, reference, connector, attempt, evidence,
    found_at
)
select
    attempts.application_id, attempts.environment, attempts.instruction_id,
    case
        when attempts.outcome = 'refused' then 'refused_after_completed'
        when attempts.number <= instructions.earlier_attempts then 'paid_after_refused'
        when instructions.status = 'FAILED' then 'paid_after_failed'
        when instructions.status = 'CANCELLED' then 'paid_after_cancelled'
        else 'paid_after_refused'
    end,
    (attempts.sent ->> 'reference')::uuid, attempts.connector, attempts.number,
    coalesce(attempts.answer, '{}'), attempts.answered_at
from attempts
join instructions
    on instructions.application_id = attempts.application_id
    and instructions.environment = attempts.environment
    and instructions.id = attempts.instruction_id
where (
        attempts.outcome = 'paid'
        and (
            instructions.status in ('FAILED', 'CANCELLED', 'PENDING')
            or attempts.number <= instructions.earlier_attempts
        )
    )
    or (
        attempts.outcome = 'refused'
        and instructions.status = 'COMPLETED'
        and attempts.number > coalesce(instructions.earlier_attempts, 0)
    )
on conflict on constraint contradictions_pkey do nothing;

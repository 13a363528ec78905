-- A withdrawal to an operator that is delayed waits at the rail until the operator is back: whether it
-- may wait at all, and for how long, is the merchant's choice. The choice is written with what was agreed;
-- the deadline that follows from it stands with the instruction, beside the time at which it is next seen
-- to. Of what no rail has by its deadline the end is ours, and of anything else the rail's.
-- Lock risk: payouts and instructions are locked while each is read once, for its new checks and one index.

alter table payouts
    add column if_delayed text collate "C" not null default 'QUEUE',
    -- For how long it may wait; null for as long as the rail keeps it.
    add column queue_minutes integer,
    add constraint payouts_if_delayed_known check (if_delayed in ('QUEUE', 'REFUSE')),
    add constraint payouts_queue_minutes_in_bounds check (queue_minutes between 1 and 10080);

alter table instructions
    -- Until when it may wait at a rail; null where nobody has set a bound.
    add column queue_until timestamptz,
    -- When the deadline is next seen to. Null once there is nothing left to do for it.
    add column deadline_due_at timestamptz,
    add constraint instructions_deadline_until_ended check (
        deadline_due_at is null or (queue_until is not null and due_at is not null)
    ),
    -- What goes back to its hosted page waits for a choice, and the next one has a deadline of its own.
    add constraint instructions_choosing_has_no_deadline check (
        next_action <> 'choose' or queue_until is null
    );

-- Deadlines are looked for apart from what a rail is to be asked; most instructions have none.
create index instructions_deadline_idx on instructions (type, deadline_due_at)
    where deadline_due_at is not null;

-- What no rail was told of by its deadline ends without one.
create or replace function check_instruction_step() returns trigger language plpgsql as $$
begin
    if (old.status, new.status) not in (
        ('PENDING', 'PENDING'), ('PENDING', 'PROCESSING'), ('PENDING', 'CANCELLED'),
        ('PROCESSING', 'PROCESSING'), ('PROCESSING', 'COMPLETED'), ('PROCESSING', 'FAILED')
    ) and not (
        old.choice is not null
        and (old.status, new.status) in (('PENDING', 'FAILED'), ('PROCESSING', 'PENDING'))
    ) and not (
        old.queue_until is not null and (old.status, new.status) = ('PENDING', 'FAILED')
    ) then
        raise exception 'an instruction cannot go from % to %', old.status, new.status
            using errcode = 'integrity_constraint_violation', constraint = 'instructions_steps';
    end if;
    return new;
end
$$;

alter type new_payout
    add attribute if_delayed text, add attribute queue_minutes integer,
    add attribute queue_until timestamptz;
alter type new_hosted_payout add attribute if_delayed text, add attribute queue_minutes integer;
-- The failure code of what was cancelled at the rail because its deadline had passed.
alter type instruction_step add attribute overdue_code text;

-- What moves money at the dashboard can need a second person: the rules that say what, and the requests
-- that wait for somebody's approval or had it.
-- Lock risk: `people` is locked for a moment, for foreign keys; every table is new.

-- Every change is a whole version of its own, and the last one is in force. `*` stands for each currency
-- that is not named.
create table approval_rules (
    application_id uuid not null,
    environment environment not null,
    version integer not null,
    currency text collate "C" not null,
    -- What takes more than this out of a wallet needs approval: 0 is everything, null is nothing.
    above bigint,
    set_by uuid not null,
    set_at timestamptz not null,
    constraint approval_rules_pkey primary key (application_id, environment, version, currency),
    constraint approval_rules_set_by_fkey foreign key (set_by) references people (id),
    constraint approval_rules_version_positive check (version > 0),
    constraint approval_rules_currency_known check (currency ~ '^([A-Z]{3}|[*])$'),
    constraint approval_rules_above_not_negative check (above >= 0),
    -- One amount does not compare with another currency's: of the others it is all or none.
    constraint approval_rules_others_all_or_none check (currency <> '*' or above = 0),
    constraint approval_rules_named_whole check (currency = '*' or above is not null)
);

create trigger approval_rules_insert_only before update or delete or truncate on approval_rules
    for each statement execute function refuse_change();

-- A request: what was asked for, what it came to then, and how it ended. No money is held for it.
create table approvals (
    application_id uuid not null,
    environment environment not null,
    id uuid not null,
    kind text collate "C" not null,
    -- What would leave the wallet; null where other rules are asked for.
    currency text collate "C",
    amount bigint,
    -- What the form said, from which it is looked at anew, and what was shown when it was sent.
    asked jsonb not null,
    shown jsonb,
    -- Of a refund: the payment that it would give back.
    payment_id uuid,
    asked_by uuid not null,
    asked_at timestamptz not null,
    ends_at timestamptz not null,
    outcome text collate "C",
    decided_by uuid,
    decided_at timestamptz,
    reason text,
    -- What was made of it, in the transaction that made it.
    operation_id uuid,
    constraint approvals_pkey primary key (application_id, environment, id),
    constraint approvals_asked_by_fkey foreign key (asked_by) references people (id),
    constraint approvals_decided_by_fkey foreign key (decided_by) references people (id),
    constraint approvals_kind_known check (kind in ('transfer', 'payout', 'refund', 'rules')),
    constraint approvals_money_whole check (
        num_nulls(currency, amount, shown) = case when kind = 'rules' then 3 else 0 end
    ),
    constraint approvals_amount_positive check (amount > 0),
    constraint approvals_refund_of_payment check ((kind = 'refund') = (payment_id is not null)),
    constraint approvals_end_later check (ends_at > asked_at),
    constraint approvals_outcome_known check (
        outcome in ('APPROVED', 'REJECTED', 'WITHDRAWN', 'EXPIRED')
    ),
    constraint approvals_ended_whole check ((outcome is null) = (decided_at is null)),
    constraint approvals_decided_by_somebody check (
        (coalesce(outcome, 'EXPIRED') = 'EXPIRED') = (decided_by is null)
    ),
    -- Four eyes: who asked decides nothing, and nobody but who asked takes it back.
    constraint approvals_two_people check (
        outcome is null or decided_by is null or (outcome = 'WITHDRAWN') = (decided_by = asked_by)
    ),
    constraint approvals_reason_of_rejection check (
        (coalesce(outcome, '') = 'REJECTED') = (reason is not null)
    ),
    constraint approvals_operation_of_approval check (
        (coalesce(outcome, '') = 'APPROVED' and kind <> 'rules') = (operation_id is not null)
    )
);

-- A payment is asked to be given back once at a time.
create unique index approvals_open_refund_key on approvals (application_id, environment, payment_id)
    where outcome is null and payment_id is not null;
create unique index approvals_operation_key on approvals (application_id, environment, operation_id)
    where operation_id is not null;
create index approvals_open_idx on approvals (application_id, environment, asked_at)
    where outcome is null;
create index approvals_ended_idx on approvals (application_id, environment, decided_at)
    where outcome is not null;
create index approvals_due_idx on approvals (ends_at) where outcome is null;

-- A request stays as it was asked, and ends once.
create function check_approval_ended() returns trigger language plpgsql as $$
begin
    if old.outcome is not null or new.outcome is null
        or (
            new.application_id, new.environment, new.id, new.kind, new.currency, new.amount,
            new.asked, new.shown, new.payment_id, new.asked_by, new.asked_at, new.ends_at
        ) is distinct from (
            old.application_id, old.environment, old.id, old.kind, old.currency, old.amount,
            old.asked, old.shown, old.payment_id, old.asked_by, old.asked_at, old.ends_at
        )
    then
        raise exception 'a request for approval can only end, and once'
            using errcode = 'integrity_constraint_violation', constraint = 'approvals_end_once';
    end if;
    return new;
end
$$;

create trigger approvals_end_once before update on approvals
    for each row execute function check_approval_ended();
create trigger approvals_never_deleted before delete or truncate on approvals
    for each statement execute function refuse_change();

insert into program_rights (privilege, object) values
    ('insert', 'approval_rules'), ('insert', 'approvals'), ('update', 'approvals');

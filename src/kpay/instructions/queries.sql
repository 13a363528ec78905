-- name: claim
-- Claim what is due of one type and write the intent of each attempt, in one statement.
with due as (
    select
        application_id, environment, id,
        -- Nothing is handed over after its deadline: what a rail may have is only asked about.
        case when queue_until <= $1 then 'check' else next_action end as next_action
    from instructions
    where due_at <= $1 and type = $2 and next_action <> 'choose'
        -- What is for a rail that has no room now waits, and nothing else waits behind it.
        and (
            cardinality($6::text[]) = 0
            or environment::text || '/'
            || coalesce(connector, $5::jsonb -> environment::text ->> provider, 'None')
            <> all($6)
        )
        -- And what none has had until then ends without one.
        and (queue_until is null or queue_until > $1 or connector is not null)
    order by due_at
    limit $3
    for update skip locked
),

claimed as (
    update instructions
    set
        status = 'PROCESSING',
        next_action = 'check',
        attempts = attempts + 1,
        due_at = $4,
        -- Each handing over counts anew: the last one may be on its way while all before are lost.
        submitted_at = case when due.next_action = 'submit' then $1 else submitted_at end,
        -- Whom it was handed to first has it for good: no other rail has heard of its reference.
        -- What goes on at another rail, and what is given back, has its rail before.
        connector = coalesce(
            connector, $5::jsonb -> instructions.environment::text ->> instructions.provider
        )
    from due
    where instructions.application_id = due.application_id
        and instructions.environment = due.environment
        and instructions.id = due.id
    returning
        instructions.application_id, instructions.environment, instructions.id,
        instructions.reference, instructions.provider, instructions.phone_number,
        instructions.currency, instructions.amount, instructions.deposit_reference,
        instructions.submitted_at, instructions.attempts as number, due.next_action as action,
        instructions.connector
),

intents as (
    insert into attempts (
        application_id, environment, instruction_id, number, action, connector, sent, sent_at
    )
    select
        application_id, environment, id, number, action, coalesce(connector, 'none'),
        jsonb_strip_nulls(jsonb_build_object(
            'reference', reference, 'operationType', $2, 'provider', provider,
            'phoneNumber', phone_number, 'currency', currency,
            'amount', trim_scale(amount / 100.0)::text,
            'depositReference', deposit_reference
        )),
        $1
    from claimed
)

select
    application_id, environment::text, id, number, action, reference, provider, phone_number,
    currency, amount, submitted_at, deposit_reference, connector
from claimed;

-- name: write
-- Write the steps of a batch with their entries, what the rail answered, and the events of ends.
with wanted as materialized (
    select
        (($2::post_book[])[book]).application_id, (($2::post_book[])[book]).environment,
        id, expected, status, failure_code, next_action, due_at, at, attempt, outcome, evidence,
        event, contradiction, overdue_code, onward_connector, onward_reference, place
    from unnest($4::post_order[], $8::instruction_step[]) with ordinality as given (
        book, operation_id, step, kind,
        id, expected, status, failure_code, next_action, due_at, at, attempt, outcome, evidence,
        event, contradiction, overdue_code, onward_connector, onward_reference, place
    )
),

locked as materialized (
    select
        wanted.place,
        instructions.status <> wanted.expected
        -- What an earlier attempt has not learnt for certain counts no more: a later one may have
        -- handed it over since, and then neither is it missing nor must it be handed over again.
        or (
            wanted.attempt < instructions.attempts
            and wanted.outcome not in ('paid', 'refused')
        )
        -- Nor does anything that was learnt of another choice: it is of another reference.
        or coalesce(wanted.attempt <= instructions.earlier_attempts, false)
        -- Nor does it go on elsewhere while there is a later attempt, which may hand it over again
        -- or have it cancelled; nor after its deadline.
        or (
            wanted.onward_reference is not null
            and (
                wanted.attempt <> instructions.attempts
                or coalesce(instructions.queue_until <= wanted.at, false)
            )
        )
        -- Without an attempt only that ends which no rail has heard of.
        or (
            wanted.attempt is null
            and wanted.expected = 'PROCESSING'
            and instructions.connector is not null
        ) as changed
    from wanted
    join instructions
        on instructions.application_id = wanted.application_id
        and instructions.environment = wanted.environment
        and instructions.id = wanted.id
    -- In one order, before any book: two batches cannot deadlock.
    order by wanted.application_id, wanted.environment, wanted.id
    for update of instructions
),

late as materialized (
    select array_agg(place::int) as places from locked where changed
),

posted as materialized (
    select post($1, $2, $3, $4, $5, $6, $7, places, 'state_changed') as verdicts from late
),

step as materialized (
    select wanted.*
    from posted, wanted
    where posted.verdicts[wanted.place] is null
),

advanced as (
    update instructions
    set
        status = step.status,
        failure_code = case
            when step.overdue_code is not null and exists (
                select from attempts
                where attempts.application_id = step.application_id
                    and attempts.environment = step.environment
                    and attempts.instruction_id = step.id
                    and attempts.number > coalesce(instructions.earlier_attempts, 0)
                    and attempts.action = 'cancel' and attempts.sent ? 'queueUntil'
            ) then step.overdue_code
            else step.failure_code
        end,
        next_action = step.next_action,
        due_at = step.due_at,
        queue_until = case when step.next_action <> 'choose' then queue_until end,
        deadline_due_at = case
            when step.due_at is not null and step.next_action <> 'choose' then deadline_due_at
        end,
        ended_at = case when step.due_at is null then step.at end,
        -- At another rail it has another reference: what was learnt so far is not of that one.
        connector = coalesce(step.onward_connector, connector),
        reference = coalesce(step.onward_reference, reference),
        earlier_attempts = case
            when step.onward_reference is null then earlier_attempts else step.attempt
        end,
        -- What failed or was cancelled gives its externalId back.
        claimed_external_id = case
            when step.status not in ('FAILED', 'CANCELLED') then claimed_external_id
        end
    from step
    where instructions.application_id = step.application_id
        and instructions.environment = step.environment
        and instructions.id = step.id
),

-- What the rail before had stays on record.
went_on as (
    insert into earlier_rails (
        application_id, environment, id, attempt, choice, reference, connector, provider,
        currency, amount, submitted_at, went_on_at
    )
    select
        step.application_id, step.environment, step.id, step.attempt, instructions.choice,
        instructions.reference, instructions.connector, instructions.provider,
        instructions.currency, instructions.amount, instructions.submitted_at, step.at
    from step
    join instructions
        on instructions.application_id = step.application_id
        and instructions.environment = step.environment
        and instructions.id = step.id
    where step.onward_reference is not null
    returning application_id, environment, id, reference, connector, went_on_at
),

-- And that rail is asked about it once more.
inquired as (
    insert into inquiries (
        application_id, environment, instruction_id, reference, connector, heard_at, due_at
    )
    select
        application_id, environment, id, reference, connector, went_on_at,
        went_on_at + $9::interval
    from went_on
),

answered as (
    update attempts
    set outcome = step.outcome, answer = step.evidence, answered_at = step.at
    from step
    where step.outcome is not null
        and attempts.application_id = step.application_id
        and attempts.environment = step.environment
        and attempts.instruction_id = step.id
        and attempts.number = step.attempt
        and attempts.outcome is null
),

-- The rail has moved something else than it was told to: asking on does not mend that.
contradicted as (
    insert into contradictions (
        application_id, environment, instruction_id, what, reference, connector, attempt,
        evidence, found_at
    )
    select
        step.application_id, step.environment, step.id, step.contradiction,
        (attempts.sent ->> 'reference')::uuid, attempts.connector, step.attempt, step.evidence,
        step.at
    from step
    join attempts
        on attempts.application_id = step.application_id
        and attempts.environment = step.environment
        and attempts.instruction_id = step.id
        and attempts.number = step.attempt
    where step.contradiction is not null
    on conflict on constraint contradictions_pkey do nothing
),

told as (
    insert into events (application_id, environment, type, operation_id, at)
    select application_id, environment, event, id, at
    from step
    where event is not null
    order by application_id, environment, id
)

select verdicts, null::int[] as places, null::uuid[] as ids from posted;

-- name: choose
-- Take what was picked on a hosted page, if it is open and can still be chosen on; due at once.
with open as (
    select application_id, environment, id, choice + 1 as number, attempts
    from instructions
    where application_id = $1 and environment = $2 and id = $3
        and next_action = 'choose' and due_at > $4 and choice < $5
    for update
),

chosen as (
    insert into choices (
        application_id, environment, id, number, provider, country, phone_number, reference,
        payout_currency, payout_amount, rate, rate_source, rate_as_of, rate_margin_bps, at
    )
    select
        application_id, environment, id, number, $6, $7, $8, $9,
        $12, $13, $14, $15, $16, $17, $4
    from open
)

update instructions
set
    status = 'PROCESSING',
    next_action = 'submit',
    due_at = $4,
    provider = $6,
    phone_number = $8,
    reference = $9,
    currency = $10,
    amount = $11,
    failure_code = null,
    -- Another reference, and another provider perhaps: no rail has heard of it.
    connector = null,
    choice = open.number,
    earlier_attempts = open.attempts,
    queue_until = $4 + make_interval(mins => $18),
    deadline_due_at = $4 + make_interval(mins => $18)
from open
where instructions.application_id = open.application_id
    and instructions.environment = open.environment
    and instructions.id = open.id
returning instructions.choice;

-- name: expired
-- What nobody chose on its hosted page in time.
select application_id, environment::text, id
from instructions
where type = $1 and next_action = 'choose' and due_at <= $2
order by due_at
limit $3;

-- name: overdue
-- Take what is overdue of one type, and write when each is seen to next, in one statement.
with late as (
    select application_id, environment, id
    from instructions
    where type = $2 and deadline_due_at <= $1
    order by deadline_due_at
    limit $3
    for update skip locked
)
update instructions
set deadline_due_at = $1 + least(greatest($1 - queue_until, $4), $5)
from late
where instructions.application_id = late.application_id
    and instructions.environment = late.environment
    and instructions.id = late.id
returning
    instructions.application_id, instructions.environment::text, instructions.id,
    instructions.status::text, instructions.connector is not null as at_rail;

-- name: leave_overdue
-- Nothing is left to do for a deadline.
update instructions
set deadline_due_at = null
where application_id = $1 and environment = $2 and id = $3;

-- name: record_late_answer
-- Keep what came too late, and hold what it contradicts: null, or what was found for the first time.
with standing as (
    select
        instructions.id, attempts.connector, (attempts.sent ->> 'reference')::uuid as reference,
        case
            -- Of an earlier choice, or of an earlier rail.
            when (attempts.sent ->> 'reference')::uuid <> instructions.reference then $8::text
            -- What it would contradict, for each status that the instruction may have.
            else ($10::text[])[array_position($9::text[], instructions.status::text)]
        end as what
    from instructions
    join attempts
        on attempts.application_id = instructions.application_id
        and attempts.environment = instructions.environment
        and attempts.instruction_id = instructions.id
    where instructions.application_id = $1 and instructions.environment = $2
        and instructions.id = $3 and attempts.number = $4
    -- It stays so until this is committed.
    for share of instructions
),

-- The first answer recorded stays.
answered as (
    update attempts
    set outcome = $5, answer = $6, answered_at = $7
    where application_id = $1 and environment = $2 and instruction_id = $3 and number = $4
        and outcome is null
),

held as (
    insert into contradictions (
        application_id, environment, instruction_id, what, reference, connector, attempt,
        evidence, found_at
    )
    select $1, $2, id, what, reference, connector, $4, $6, $7
    from standing
    where what is not null
    on conflict on constraint contradictions_pkey do nothing
    returning what, reference, connector
)

select what, reference, connector from held;

-- name: record_answer
-- What came back from the rail and ends nothing; the first answer recorded stays.
update attempts
set outcome = $5, answer = $6, answered_at = $7
where application_id = $1 and environment = $2 and instruction_id = $3 and number = $4
    and outcome is null;

-- name: lock_at_rail
-- What a rail has now, as it was told; it stays so until the transaction ends.
select
    application_id, environment::text, id, reference, provider, phone_number, currency, amount,
    deposit_reference, submitted_at, connector, attempts + 1 as number,
    coalesce(earlier_attempts, 0) as earlier_attempts
from instructions
where application_id = $1 and environment = $2 and id = $3
    and status = 'PROCESSING' and connector is not null
for update;

-- name: asked_to_cancel
-- Whether the rail was asked to cancel it since then, and has not declined.
select exists (
    select from attempts
    where application_id = $1 and environment = $2 and instruction_id = $3
        and action = 'cancel' and number > $4 and sent_at > $5
        and outcome is distinct from 'declined'
);

-- name: intend_to_cancel
-- Write the intent of asking the rail to cancel it; when it is asked about next stays as it is.
with next as (
    update instructions
    set attempts = attempts + 1
    where application_id = $1 and environment = $2 and id = $3
    returning attempts as number, reference, connector, type, queue_until
)

insert into attempts (
    application_id, environment, instruction_id, number, action, connector, sent, sent_at
)
select
    $1, $2, $3, number, 'cancel', connector,
    jsonb_build_object('reference', reference, 'operationType', type)
        -- Because of which deadline it is asked, if it is not the merchant who asks.
        || case
            when $5::boolean then jsonb_build_object(
                'queueUntil',
                to_char(queue_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
            )
            else '{}'
        end,
    $4
from next;

-- name: handed_over
-- Which rail was handed a reference of ours, open or not, or refused it before it went on elsewhere.
select environment::text, connector, type
from instructions
where reference = $1 and connector is not null
union all
select earlier_rails.environment::text, earlier_rails.connector, instructions.type
from earlier_rails
join instructions using (application_id, environment, id)
where earlier_rails.reference = $1;

-- name: told_so_far
-- Every time that one was handed over or was to be cancelled, and which of that the last choice is of.
select
    attempts.number, attempts.action, attempts.connector,
    (attempts.sent ->> 'reference')::uuid as reference,
    coalesce(earlier_rails.choice, instructions.choice) is not distinct from instructions.choice
    and (
        earlier_rails.id is not null
        or attempts.number > coalesce(instructions.earlier_attempts, 0)
    ) as of_this_choice
from instructions
join attempts
    on attempts.application_id = instructions.application_id
    and attempts.environment = instructions.environment
    and attempts.instruction_id = instructions.id
left join earlier_rails
    on earlier_rails.application_id = instructions.application_id
    and earlier_rails.environment = instructions.environment
    and earlier_rails.id = instructions.id
    and earlier_rails.reference = (attempts.sent ->> 'reference')::uuid
where instructions.application_id = $1 and instructions.environment = $2 and instructions.id = $3
    and attempts.action in ('submit', 'cancel')
order by attempts.number;

-- name: attempts
-- The evidence trail of one instruction, oldest first.
select number, action, connector, sent, sent_at, outcome, answer, answered_at
from attempts
where application_id = $1 and environment = $2 and instruction_id = $3
order by number;

-- name: waiting
-- What was handed to a rail and has no answer that ends it, of all applications, the longest first.
select
    waiting.application_id, waiting.environment::text, waiting.id, waiting.type, waiting.reference,
    waiting.provider, waiting.currency, waiting.amount, waiting.submitted_at, waiting.due_at,
    waiting.attempts, applications.name as application_name, companies.id as company_id,
    companies.name as company_name,
    (
        select json_agg(latest order by latest.number desc)
        from (
            select number, action, connector, sent_at, outcome, answered_at, answer::text as answer
            from attempts
            where attempts.application_id = waiting.application_id
                and attempts.environment = waiting.environment
                and attempts.instruction_id = waiting.id
            order by number desc
            limit $4
        ) as latest
    ) as evidence
from (
    select
        application_id, environment, id, type, reference, provider, currency, amount,
        submitted_at, due_at, attempts
    from instructions
    where environment = $1 and status = 'PROCESSING' and submitted_at <= $2
    order by submitted_at
    limit $3
) as waiting
join applications on applications.id = waiting.application_id
join companies on companies.id = applications.company_id
order by waiting.submitted_at, waiting.id;

-- name: hasten
-- Make an open instruction due now: something was learnt about it.
update instructions
set due_at = $4
where application_id = $1 and environment = $2 and id = $3 and status = 'PROCESSING';

-- name: hear
-- Keep a callback as it came, once; what it is about is asked now, or at $9 where it goes on no more.
with kept as (
    insert into rail_callbacks (
        environment, connector, digest, reference, headers, body, received_at
    )
    select $1, $2, $3, $4, $5, $6, $7
    -- What anybody may have sent is kept of what there is alone, and a few times.
    where $8 or (
        (
            exists (
                select from instructions
                where reference = $4 and environment = $1 and connector = $2
            )
            or exists (select from choices where reference = $4 and environment = $1)
            or exists (
                select from earlier_rails
                where reference = $4 and environment = $1 and connector = $2
            )
        )
        and (select count(*) from rail_callbacks where reference = $4) < 10
    )
    on conflict on constraint rail_callbacks_pkey do nothing
    returning true as anew
),

inquired as (
    insert into inquiries (
        application_id, environment, instruction_id, reference, connector, heard_at, due_at
    )
    select application_id, environment, id, $4, $2, $7, $9
    from (
        select application_id, environment, id
        from instructions
        where reference = $4 and due_at is null
        union
        -- What an earlier rail has refused is over there, though its operation may go on.
        select application_id, environment, id
        from earlier_rails
        where reference = $4
        union
        -- So is an earlier choice of a hosted page.
        select choices.application_id, choices.environment, choices.id
        from choices
        join instructions
            on instructions.application_id = choices.application_id
            and instructions.environment = choices.environment
            and instructions.id = choices.id
        where choices.reference = $4 and instructions.reference <> $4
    ) as ended
    where environment = $1
        and (select anew from kept)
        -- That rail alone has heard of it.
        and exists (
            select from attempts
            where attempts.application_id = ended.application_id
                and attempts.environment = ended.environment
                and attempts.instruction_id = ended.id
                and attempts.action = 'submit'
                and attempts.connector = $2
                and attempts.sent ->> 'reference' = $4::uuid::text
        )
    on conflict on constraint inquiries_pkey do update
    set
        heard_at = excluded.heard_at,
        due_at = least(
            inquiries.due_at,
            greatest(excluded.due_at, inquiries.asked_at + $10::interval)
        )
)

update instructions
set due_at = $7
where reference = $4
    and environment = $1
    and connector = $2
    and status = 'PROCESSING'
    and due_at > $7
    and (select anew from kept);

-- name: clear_callbacks
-- Take away callbacks that were kept long enough, the oldest first.
delete from rail_callbacks
where (environment, connector, digest) in (
    select environment, connector, digest
    from rail_callbacks
    where received_at < $1
    order by received_at
    limit $2
);

-- name: claim_inquiries
-- Claim what is to be asked once more and write the intent of each attempt, in one statement.
with due as (
    select
        inquiries.application_id, inquiries.environment, inquiries.instruction_id,
        inquiries.reference, operation.attempts, operation.reference as last_reference
    from inquiries
    -- Whoever makes an attempt has its operation locked: what is being told something is left for later.
    cross join lateral (
        select attempts, reference
        from instructions
        where instructions.application_id = inquiries.application_id
            and instructions.environment = inquiries.environment
            and instructions.id = inquiries.instruction_id
        for update skip locked
    ) as operation
    where inquiries.due_at <= $1
    order by inquiries.due_at
    limit $2
    for update of inquiries skip locked
),

claimed as (
    update inquiries
    set due_at = $3, asked_at = $1, tries = tries + 1
    from due
    where inquiries.application_id = due.application_id
        and inquiries.environment = due.environment
        and inquiries.instruction_id = due.instruction_id
        and inquiries.reference = due.reference
    returning
        inquiries.application_id, inquiries.environment, inquiries.instruction_id,
        inquiries.reference, inquiries.connector, inquiries.tries, due.attempts,
        due.last_reference
),

told as (
    select
        claimed.application_id, claimed.environment, claimed.instruction_id as id,
        claimed.reference, claimed.connector, claimed.tries, handed_over.sent,
        handed_over.sent_at as submitted_at,
        claimed.reference <> claimed.last_reference as was_refused,
        -- Of what has ended, the attempts since are counted nowhere else.
        greatest(claimed.attempts, made.number) + row_number() over (
            partition by claimed.application_id, claimed.environment, claimed.instruction_id
            order by claimed.reference
        ) as number
    from claimed
    cross join lateral (
        select attempts.sent, attempts.sent_at
        from attempts
        where attempts.application_id = claimed.application_id
            and attempts.environment = claimed.environment
            and attempts.instruction_id = claimed.instruction_id
            and attempts.action = 'submit'
            and attempts.connector = claimed.connector
            and attempts.sent ->> 'reference' = claimed.reference::text
        order by attempts.number desc
        limit 1
    ) as handed_over
    cross join lateral (
        select max(attempts.number) as number
        from attempts
        where attempts.application_id = claimed.application_id
            and attempts.environment = claimed.environment
            and attempts.instruction_id = claimed.instruction_id
    ) as made
),

-- What goes on numbers its next attempts after these; what has ended is never changed.
counted as (
    update instructions
    set attempts = last.number
    from (
        select application_id, environment, id, max(number) as number
        from told
        group by application_id, environment, id
    ) as last
    where instructions.application_id = last.application_id
        and instructions.environment = last.environment
        and instructions.id = last.id
        and instructions.ended_at is null
),

intents as (
    insert into attempts (
        application_id, environment, instruction_id, number, action, connector, sent, sent_at
    )
    select application_id, environment, id, number, 'check', connector, sent, $1
    from told
    -- Another process has just taken that number: this one is asked about when its claim runs out.
    on conflict on constraint attempts_pkey do nothing
    returning application_id, environment, instruction_id as id, number
)

select
    application_id, environment::text, id, number, reference, connector, tries, submitted_at,
    was_refused,
    sent ->> 'operationType' as type, sent ->> 'provider' as provider,
    sent ->> 'phoneNumber' as phone_number, sent ->> 'currency' as currency,
    ((sent ->> 'amount')::numeric * 100)::bigint as amount,
    (sent ->> 'depositReference')::uuid as deposit_reference
from told
join intents using (application_id, environment, id, number);

-- name: inquiry_made
-- The rail was asked then: again at $6 where it said nothing definite, or has called back meanwhile.
update inquiries
set
    due_at = case when not $7::boolean or heard_at > asked_at then $6::timestamptz end,
    tries = case when $7 then 0 else tries end
where application_id = $1 and environment = $2 and instruction_id = $3 and reference = $4
    -- Whoever claimed it since goes on with it.
    and asked_at = $5;

-- name: clear_inquiries
-- Take away inquiries that were done long enough ago, the oldest first.
delete from inquiries
where (application_id, environment, instruction_id, reference) in (
    select application_id, environment, instruction_id, reference
    from inquiries
    where due_at is null and heard_at < $1
    order by heard_at
    limit $2
);

-- name: open_at_rails
-- How many instructions each connector has that have not ended, or is to be asked about once more.
select environment::text, connector, count(*) as open
from (
    select environment, connector from instructions
    where due_at is not null and connector is not null
    union all
    select environment, connector from inquiries
    where due_at is not null
) as had
group by environment, connector;

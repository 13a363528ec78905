-- name: last_day
-- The last day of a rail that its balances were to be asked of.
select max(day) from rail_days where environment = $1 and connector = $2;

-- name: plan
-- Have the balances of a rail asked for these days, each once.
insert into rail_days (environment, connector, day, due_at)
select $1, $2, day, $4
from unnest($3::date[]) as day
on conflict on constraint rail_days_pkey do nothing;

-- name: claim_day
-- Take a day of one of these rails whose wallets are not known yet; nobody else does for a while.
with due as (
    select environment, connector, day
    from rail_days
    where due_at <= $1
        and (environment, connector) in (
            select * from unnest($3::environment[], $4::text[])
        )
        -- One day after the other, however long one is not told.
        and not exists (
            select from rail_days as earlier
            where earlier.environment = rail_days.environment
                and earlier.connector = rail_days.connector
                and earlier.day < rail_days.day
                and earlier.due_at is not null
        )
    order by due_at
    limit 1
    for update skip locked
)

update rail_days
set due_at = $2
from due
where rail_days.environment = due.environment
    and rail_days.connector = due.connector
    and rail_days.day = due.day
returning rail_days.environment::text, rail_days.connector, rail_days.day;

-- name: add_wallets
-- The wallets of a rail on a day, with what it said that each held.
insert into reconciliations (
    environment, connector, country, currency, provider, day, due_at, told_balance, told_at
)
select $1, $2, country, currency, provider, $3, $4, balance, $4
from unnest($5::text[], $6::text[], $7::text[], $8::bigint[])
    as told (country, currency, provider, balance)
on conflict on constraint reconciliations_pkey do nothing;

-- name: day_told
-- A rail has told which wallets it has.
update rail_days
set due_at = null, trouble = null
where environment = $1 and connector = $2 and day = $3;

-- name: day_troubled
-- A rail has not told its balances: it is asked again.
update rail_days
set due_at = $4, trouble = $5
where environment = $1 and connector = $2 and day = $3;

-- name: claim
-- Take a wallet's day that is due; the days of a wallet are done one after the other.
with due as (
    select environment, connector, country, currency, provider, day
    from reconciliations
    where due_at <= $1
        and (environment, connector) in (
            select * from unnest($3::environment[], $4::text[])
        )
        and not exists (
            select from reconciliations as earlier
            where earlier.environment = reconciliations.environment
                and earlier.connector = reconciliations.connector
                and earlier.country = reconciliations.country
                and earlier.currency = reconciliations.currency
                and earlier.provider = reconciliations.provider
                and earlier.day < reconciliations.day
                and earlier.due_at is not null
        )
        and not exists (
            select from rail_days
            where rail_days.environment = reconciliations.environment
                and rail_days.connector = reconciliations.connector
                and rail_days.day < reconciliations.day
                and rail_days.due_at is not null
        )
    order by due_at
    limit 1
    for update skip locked
)

update reconciliations
set due_at = $2, claims = claims + 1
from due
where reconciliations.environment = due.environment
    and reconciliations.connector = due.connector
    and reconciliations.country = due.country
    and reconciliations.currency = due.currency
    and reconciliations.provider = due.provider
    and reconciliations.day = due.day
returning
    reconciliations.environment::text, reconciliations.connector, reconciliations.country,
    reconciliations.currency, reconciliations.provider, reconciliations.day, reconciliations.stage,
    reconciliations.ticket, reconciliations.claims, reconciliations.told_balance;

-- name: go_on
-- The next stage of a wallet's day, by whoever has claimed it; null where somebody else has since.
update reconciliations
set stage = $8, due_at = $9, ticket = $10, trouble = $11
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and day = $6 and claims = $7
returning true;

-- name: finish
-- A day is matched, and puts those before it right; null where somebody else has claimed it since.
with finished as (
    update reconciliations
    set
        stage = 'done', due_at = null, trouble = null, opening_theirs = $8, opening_ours = $9,
        closing_theirs = $10, closing_ours = $11, lines = $12, others = $13, agreed = $14
    where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
        and day = $6 and claims = $7
    returning true
),

corrected as (
    update reconciliations
    set opening_theirs = opening_theirs - $15, closing_theirs = closing_theirs - $15
    where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
        and day < $6 and $15::bigint <> 0 and exists (select from finished)
)

select true from finished;

-- name: moved_before_told
-- What a later day had moved when the rail told what it holds, where no line says what it held.
select coalesce(sum(lines.amount), 0)::bigint
from (
    select day, told_at
    from reconciliations
    where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    order by day
    limit 1
) as beginning
join rail_lines as lines
    on lines.day = $6 and lines.day > beginning.day and lines.at <= beginning.told_at
        and lines.balance is null
where lines.environment = $1 and lines.connector = $2 and lines.country = $3
    and lines.currency = $4 and lines.provider = $5
    and not exists (
        select from rail_lines as shown
        where shown.environment = $1 and shown.connector = $2 and shown.country = $3
            and shown.currency = $4 and shown.provider = $5 and shown.day = beginning.day
            and shown.balance is not null
    );

-- name: clear_lines
-- A day's lines are read anew from the first.
delete from rail_lines
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and day = $6;

-- name: add_lines
-- Some lines of a day's statement; read twice, a line is there once.
insert into rail_lines (
    environment, connector, country, currency, provider, day, number, at, word, operation,
    reference, amount, balance, raw
)
select $1, $2, $3, $4, $5, $6, line.*
from unnest(
    $7::integer[], $8::timestamptz[], $9::text[], $10::text[], $11::uuid[], $12::bigint[],
    $13::bigint[], $14::jsonb[]
) as line
on conflict on constraint rail_lines_pkey do nothing;

-- name: lines
-- The operations of a day's statement, a part after the other.
select number, reference, amount
from rail_lines
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and day = $6 and number > $7 and operation is not null
order by number
limit $8;

-- name: completed
-- What our books completed at a rail between two moments, a part after the other.
select ended_at, id, reference
from instructions
where environment = $1 and connector = $2 and status = 'COMPLETED'
    and ended_at >= $3 and ended_at < $4 and provider = any($5::text[])
    and (ended_at, id) > ($6, $7)
order by ended_at, id
limit $8;

-- name: live
-- Breaks of a wallet that are not closed and were not judged on this day, a part after the other.
select key
from breaks
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and state <> 'closed' and judged_on < $6 and key > $7
order by key
limit $8;

-- name: theirs
-- What a rail has moved under each of these references up to a day, in how many lines.
select reference, sum(amount)::bigint as moved, count(*) as lines
from rail_lines
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and reference = any($7::uuid[]) and operation is not null and day <= $6
group by reference;

-- name: ours
-- The operations of these references, those of earlier choices on pages and at earlier rails too.
select
    application_id, environment::text, id, type, status::text, reference, connector, provider,
    currency, amount, submitted_at, ended_at, false as earlier_choice
from instructions
where reference = any($2::uuid[]) and environment = $1
union all
select
    instructions.application_id, instructions.environment::text, instructions.id,
    instructions.type, instructions.status::text, choices.reference, instructions.connector,
    choices.provider, coalesce(choices.payout_currency, instructions.currency),
    coalesce(choices.payout_amount, instructions.amount), instructions.submitted_at,
    instructions.ended_at, true
from choices
join instructions
    on instructions.application_id = choices.application_id
    and instructions.environment = choices.environment
    and instructions.id = choices.id
where choices.reference = any($2::uuid[]) and choices.environment = $1
    and choices.reference <> instructions.reference
    and not exists (select from earlier_rails where earlier_rails.reference = choices.reference)
union all
select
    instructions.application_id, instructions.environment::text, instructions.id,
    instructions.type, instructions.status::text, earlier_rails.reference,
    earlier_rails.connector, earlier_rails.provider, earlier_rails.currency,
    earlier_rails.amount, earlier_rails.submitted_at, instructions.ended_at, true
from earlier_rails
join instructions
    on instructions.application_id = earlier_rails.application_id
    and instructions.environment = earlier_rails.environment
    and instructions.id = earlier_rails.id
where earlier_rails.reference = any($2::uuid[]) and earlier_rails.environment = $1;

-- name: standing
-- Breaks of a wallet as they are on record.
select key, state, theirs, ours, found_on
from breaks
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and key = any($6::text[])
for update;

-- name: judged
-- A break was judged and is as it was.
update breaks
set judged_on = $6
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and key = any($7::text[]) and judged_on < $6;

-- name: agree
-- Both sides of a break agree now.
update breaks
set
    state = 'closed', theirs = $8, ours = $8, judged_on = $6, note = $9, closed_by = 'kpay',
    closed_at = $10
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and key = $7;

-- name: write
-- A break that is new, or is another than it was.
insert into breaks (
    environment, connector, country, currency, provider, key, id, kind, state, theirs, ours,
    application_id, instruction_id, type, found_on, found_at, judged_on, note, closed_by, closed_at
)
values (
    $1, $2, $3, $4, $5, $7, $8, $9, $10, $11, $12, $13, $14, $15, $6, $16, $6, $17::text,
    case when $17::text is not null then 'kpay' end,
    case when $17::text is not null then $16::timestamptz end
)
on conflict on constraint breaks_pkey do update
set
    kind = excluded.kind, state = excluded.state, theirs = excluded.theirs, ours = excluded.ours,
    application_id = excluded.application_id, instruction_id = excluded.instruction_id,
    type = excluded.type, judged_on = excluded.judged_on, note = excluded.note,
    closed_by = excluded.closed_by, closed_at = excluded.closed_at,
    found_on = case when breaks.state = 'closed' then excluded.found_on else breaks.found_on end;

-- name: wallets_of_day
-- The providers that have a wallet of their own beside a country's.
select provider
from reconciliations
where environment = $1 and connector = $2 and country = $3 and currency = $4 and day = $5
    and provider <> '';

-- name: first_day
-- The first day of a wallet's statements.
select min(day)
from reconciliations
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5;

-- name: before
-- How the wallet's last day before this one ended.
select closing_theirs, closing_ours
from reconciliations
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and day < $6
order by day desc
limit 1;

-- name: sums
-- What the lines of a day come to: all of them, and those that are no operations.
select
    count(*) as lines, coalesce(sum(amount), 0)::bigint as moved,
    coalesce(sum(amount) filter (where operation is null), 0)::bigint as others
from rail_lines
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and day = $6;

-- name: told
-- What the first and the last line of a day say that the wallet held: before the one, after the other.
select
    (array_agg(balance - amount order by number))[1] as opening,
    (array_agg(balance order by number desc))[1] as closing
from (
    (
        select number, balance, amount
        from rail_lines
        where environment = $1 and connector = $2 and country = $3 and currency = $4
            and provider = $5 and day = $6
        order by number
        limit 1
    )
    union
    (
        select number, balance, amount
        from rail_lines
        where environment = $1 and connector = $2 and country = $3 and currency = $4
            and provider = $5 and day = $6
        order by number desc
        limit 1
    )
) as ends;

-- name: our_moves
-- What our books say that a rail has moved between two moments, of these providers.
select coalesce(sum(case type when 'DEPOSIT' then amount else -amount end), 0)::bigint
from instructions
where environment = $1 and connector = $2 and status = 'COMPLETED'
    and ended_at >= $3 and ended_at < $4 and provider = any($5::text[]);

-- name: breaks
-- A page of breaks, newest first, by whichever filter is given, from the last page's end on.
select
    breaks.environment::text, breaks.connector, breaks.country, breaks.currency, breaks.provider,
    breaks.key, breaks.id, breaks.kind, breaks.state, breaks.theirs, breaks.ours,
    breaks.application_id, breaks.instruction_id, breaks.type, breaks.found_on, breaks.found_at,
    breaks.judged_on, breaks.note, breaks.closed_by, breaks.closed_at,
    people.name as closed_name, companies.id as company_id, companies.name as company_name,
    applications.name as application_name
from breaks
left join applications on applications.id = breaks.application_id
left join companies on companies.id = applications.company_id
left join people
    on people.id = case
        when pg_input_is_valid(breaks.closed_by, 'uuid') then breaks.closed_by::uuid
    end
where ($1::uuid is null or breaks.id = $1)
    and ($2::text is null or breaks.state = $2)
    and ($3::text is null or breaks.kind = $3)
    and ($4::environment is null or breaks.environment = $4)
    and ($5::text is null or breaks.connector = $5)
    and ($6::text is null or breaks.country = $6)
    and (
        $7::uuid is null
        or (breaks.found_at, breaks.id)
            < (select last.found_at, last.id from breaks as last where last.id = $7)
    )
order by breaks.found_at desc, breaks.id desc
limit $8;

-- name: lines_of
-- The lines of a reference at a wallet, or the one line that has none.
select day, number, at, word, operation, amount, balance, raw
from rail_lines
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and operation is not null
    and (reference = $6 or ($6::uuid is null and day = $7 and number = $8))
order by day, number
limit 100;

-- name: close
-- An operator closes an open break.
update breaks
set state = 'closed', note = $2, closed_by = $3, closed_at = $4
where id = $1 and state = 'open'
returning true;

-- name: count_open
-- How many breaks wait for an operator.
select count(*) from breaks where state = 'open';

-- name: last_days
-- The last day of each wallet that is done, and when its statements began.
select distinct on (environment, connector, country, currency, provider)
    environment::text, connector, country, currency, provider, day, told_balance, told_at,
    opening_theirs, opening_ours, closing_theirs, closing_ours, lines, others, agreed
from reconciliations
where stage = 'done'
order by environment, connector, country, currency, provider, day desc;

-- name: first_figures
-- What the wallet held by both sides when its first statement began.
select day, opening_theirs - opening_ours as difference
from reconciliations
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and stage = 'done'
order by day
limit 1;

-- name: others
-- What the lines that are no operations come to since the first statement, by the rail's own words.
select word, count(*) as lines, sum(amount)::bigint as moved
from rail_lines
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and day <= $6 and operation is null
group by word
order by word;

-- name: differing
-- What the breaks of a wallet come to, by kind and state: where the two sides still differ.
select kind, state, count(*) as breaks, sum(theirs - ours)::bigint as moved
from breaks
where environment = $1 and connector = $2 and country = $3 and currency = $4 and provider = $5
    and theirs <> ours
group by kind, state
order by kind, state;

-- name: unfinished
-- What is under way or cannot go on, oldest first.
select
    environment::text, connector, country, currency, provider, day, stage, due_at, trouble
from reconciliations
where due_at is not null
union all
select environment::text, connector, '', '', '', day, 'balances', due_at, trouble
from rail_days
where due_at is not null
order by day, connector, country, currency, provider;

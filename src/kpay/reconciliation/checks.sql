-- name: provider_accounts_are_operations
-- 1. What a provider's account holds is what its rail was told to move and has moved.
with moved as (
    select
        application_id, environment, 'provider:' || provider as code, currency,
        sum(case type when 'DEPOSIT' then -amount else amount end) as total
    from instructions
    where status = 'COMPLETED'
    group by application_id, environment, provider, currency
)

select
    application_id, environment::text, code, coalesce(accounts.balance, 0) as balance,
    coalesce(moved.total, 0) as moved
from (select * from accounts where left(code, 9) = 'provider:') as accounts
full join moved using (application_id, environment, code, currency)
where coalesce(accounts.balance, 0) <> coalesce(moved.total, 0);

-- name: days_follow_each_other
-- 10. A wallet's day at a rail begins with what the day before ended with.
select
    environment::text, connector, country, currency, provider, day, opening_theirs, opening_ours
from (
    select
        *, lag(closing_theirs) over wallet as theirs_before,
        lag(closing_ours) over wallet as ours_before
    from reconciliations
    where stage = 'done'
    window wallet as (
        partition by environment, connector, country, currency, provider order by day
    )
) as days
where opening_theirs <> theirs_before or opening_ours <> ours_before;

-- name: breaks_explain_floats
-- 5. What a rail's lines moved more than our books is explained by breaks, and what is no operation.
with days as (
    select
        environment, connector, country, currency, provider,
        (array_agg(opening_ours order by day))[1] as opening_ours,
        (array_agg(closing_ours order by day desc))[1] as closing_ours,
        max(day) as last_day, sum(others) as others
    from reconciliations
    where stage = 'done'
    group by environment, connector, country, currency, provider
    -- While a day is matched its breaks are written one part after the other.
    having not exists (
        select from reconciliations as going_on
        where going_on.environment = reconciliations.environment
            and going_on.connector = reconciliations.connector
            and going_on.country = reconciliations.country
            and going_on.currency = reconciliations.currency
            and going_on.provider = reconciliations.provider
            and going_on.stage = 'match'
    )
),

theirs as (
    select
        days.environment, days.connector, days.country, days.currency, days.provider,
        sum(rail_lines.amount) as moved
    from days
    join rail_lines using (environment, connector, country, currency, provider)
    where rail_lines.day <= days.last_day
    group by days.environment, days.connector, days.country, days.currency, days.provider
),

differing as (
    select environment, connector, country, currency, provider, sum(theirs - ours) as total
    from breaks
    group by environment, connector, country, currency, provider
)

select
    environment::text, connector, country, currency, provider, days.last_day,
    coalesce(theirs.moved, 0) - (days.closing_ours - days.opening_ours) as difference,
    days.others + coalesce(differing.total, 0) as explained
from days
left join theirs using (environment, connector, country, currency, provider)
left join differing using (environment, connector, country, currency, provider)
where coalesce(theirs.moved, 0) - (days.closing_ours - days.opening_ours)
    <> days.others + coalesce(differing.total, 0);

-- name: breaks_of_operations
-- 8. Every break that names an operation is of one that there is, in its own environment.
select breaks.id, breaks.application_id, breaks.environment::text, breaks.instruction_id
from breaks
left join instructions
    on instructions.application_id = breaks.application_id
    and instructions.environment = breaks.environment
    and instructions.id = breaks.instruction_id
where breaks.instruction_id is not null and instructions.id is null;

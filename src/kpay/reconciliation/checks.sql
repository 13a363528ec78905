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

-- name: floats_are_explained
-- 5. What a rail holds more than our books say is explained by its statements and by breaks.
with last as (
    select distinct on (environment, connector, country, currency, provider) *
    from reconciliations
    where stage = 'done'
    order by environment, connector, country, currency, provider, day desc
),

explained as (
    select
        environment, connector, country, currency, provider,
        (array_agg(opening_theirs - opening_ours order by day))[1] + sum(others) as total
    from reconciliations
    where stage = 'done'
    group by environment, connector, country, currency, provider
),

differing as (
    select environment, connector, country, currency, provider, sum(theirs - ours) as total
    from breaks
    group by environment, connector, country, currency, provider
)

select
    environment::text, connector, country, currency, provider, last.day,
    last.closing_theirs - last.closing_ours as difference,
    explained.total + coalesce(differing.total, 0) as explained
from last
join explained using (environment, connector, country, currency, provider)
left join differing using (environment, connector, country, currency, provider)
where not exists (
        -- While a day is matched its breaks are written one part after the other.
        select from reconciliations as going_on
        where going_on.environment = last.environment
            and going_on.connector = last.connector
            and going_on.country = last.country
            and going_on.currency = last.currency
            and going_on.provider = last.provider
            and going_on.stage = 'match'
    )
    and last.closing_theirs - last.closing_ours <> explained.total + coalesce(differing.total, 0);

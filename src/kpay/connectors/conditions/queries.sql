-- name: conditions
-- On which terms every rail works, as it last told.
select environment::text, connector, provider, operation, currency, status, decimals, least, most
from rail_conditions
order by environment, connector, provider, operation, currency;

-- name: conditions_told_at
-- When a rail last told on which terms it works.
select max(told_at) from rail_conditions where environment = $1 and connector = $2;

-- name: forget_conditions
-- Take away what a rail told before.
delete from rail_conditions where environment = $1 and connector = $2;

-- name: keep_conditions
-- Keep what a rail tells of itself; of two processes at once, the first one's stays.
insert into rail_conditions (
    environment, connector, provider, operation, currency, status, decimals, least, most, told_at
)
select $1, $2, provider, operation, currency, status, decimals, least, most, $10
from unnest(
    $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::bigint[], $9::bigint[]
) as told (provider, operation, currency, status, decimals, least, most)
on conflict on constraint rail_conditions_pkey do nothing;

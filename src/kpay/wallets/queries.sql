-- name: list
-- The wallets of a book that something was ever posted to, each with what is reserved beside it.
select
    substr(wallet.code, 8) as country,
    wallet.currency,
    wallet.balance as available,
    coalesce(held.balance, 0) as reserved
from accounts as wallet
left join accounts as held
    on held.application_id = wallet.application_id
    and held.environment = wallet.environment
    and held.code = 'reserved:' || substr(wallet.code, 8)
where wallet.application_id = $1
    and wallet.environment = $2
    and wallet.code >= 'wallet:' and wallet.code < 'wallet;'
    and wallet.version > 0
order by wallet.code;

-- name: open_accounts
-- Make room for accounts that nothing was posted to yet; those that exist stay as they are.
select open_accounts($1, $2, $3, $4);

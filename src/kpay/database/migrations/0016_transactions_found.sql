-- What people search for on the dashboard's list of transactions: a telephone number, and the suffix of
-- a reference, whose constraints 0008 took away when references came from a sequence: what was then
-- looked up for every new one is now looked up for who asks. Each index begins with the book, and where
-- many rows have one value it ends with the identifier, so that what is found comes in the order of the
-- list. All of these tables are only ever added to, so nothing is written twice. Transfers get none: it
-- would make each of them a sixth dearer, and those of one book are few enough to be looked through.
-- Lock risk: payments, payouts, refunds and choices are locked against writing while each is read once
-- for each of its indexes.

create index payments_phone_idx
    on payments (application_id, environment, phone_number, id) where phone_number is not null;

create index payouts_phone_idx
    on payouts (application_id, environment, phone_number, id) where phone_number is not null;

create index refunds_phone_idx on refunds (application_id, environment, phone_number, id);

-- Of what has a hosted page, the number is the one that was chosen there.
create index choices_phone_idx on choices (application_id, environment, phone_number, id);

create index payments_suffix_idx on payments (application_id, environment, suffix);

create index payouts_suffix_idx on payouts (application_id, environment, suffix);

create index refunds_suffix_idx on refunds (application_id, environment, suffix);

-- See 0006: before there are rows, the planner is told what the columns of the keys are like.
select
    pg_restore_attribute_stats(
        'schemaname', current_schema()::text,
        'relname', relation,
        'attname', attribute,
        'inherited', false,
        'null_frac', 0::real,
        'avg_width', 16,
        'n_distinct', n_distinct::real
    )
from (
    values
        ('payments', 'phone_number', -0.5), ('payouts', 'phone_number', -0.5),
        ('refunds', 'phone_number', -0.5), ('choices', 'phone_number', -0.5),
        ('refunds', 'suffix', -1)
) as expected (relation, attribute, n_distinct);

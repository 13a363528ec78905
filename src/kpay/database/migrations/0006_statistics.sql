-- What the planner is to believe of tables that have not grown yet.
-- Lock risk: none worth speaking of; nothing has run on these tables before the first start.
--
-- Every index of a merchant's table begins with application_id and environment. Of a table without
-- statistics the planner cannot tell which of them finds one row and which finds all rows of the
-- application, and it keeps the plan that it then made: the first busy minute of a new installation
-- would read a whole application for every batch. So it is told the worst that can be true of the
-- columns (one application has it all) and that the identifiers are unique, which makes the full key
-- the cheapest way at any size. The first ANALYZE with rows to look at replaces it with the truth.

do $$
declare
    expected record;
begin
    for expected in
        select relation, attribute, n_distinct
        from (
            values
                ('accounts', array['code'], -1), ('entries', array['operation_id', 'step'], -0.7),
                ('postings', array['operation_id', 'step', 'account', 'version'], -0.5),
                ('transfers', array['id', 'suffix', 'external_id'], -1),
                ('payments', array['id', 'suffix', 'external_id'], -1),
                ('payouts', array['id', 'suffix', 'external_id'], -1),
                ('instructions', array['id', 'claimed_external_id', 'due_at'], -1),
                ('attempts', array['instruction_id', 'number'], -0.7)
        ) as named (relation, attributes, n_distinct),
            unnest(array['application_id', 'environment'] || attributes) as attribute
    loop
        perform pg_restore_attribute_stats(
            'schemaname', current_schema()::text,
            'relname', expected.relation,
            'attname', expected.attribute,
            'inherited', false,
            'null_frac', 0::real,
            'avg_width', 16,
            'n_distinct',
            case
                when expected.attribute in ('application_id', 'environment') then 1
                else expected.n_distinct
            end::real
        );
    end loop;
end
$$;

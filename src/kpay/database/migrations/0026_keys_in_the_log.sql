-- Beside people and commands, a merchant's program can have done what stands in the audit log: by its key
-- pair, whose public half is named. A deed is still by exactly one of the three.
-- Lock risk: the log is locked while it is read through once for the rule; it has one line for each deed
-- of a person or an operator.
alter table audit_log
    add column api_key text collate "C",
    drop constraint audit_log_by_somebody,
    add constraint audit_log_by_somebody check (num_nonnulls(person_id, command, api_key) = 1);

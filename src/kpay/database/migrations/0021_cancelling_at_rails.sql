-- A rail can be asked to cancel what waits there for its operator: an attempt as any other, whose answer
-- is no outcome of the operation.
-- Lock risk: attempts is locked while both constraints are taken away and added; that their rows keep to
-- them is seen afterwards, while the program works.

alter table attempts
    drop constraint attempts_action_known,
    add constraint attempts_action_known
        check (action in ('submit', 'check', 'cancel')) not valid,
    drop constraint attempts_outcome_known,
    add constraint attempts_outcome_known check (
        outcome in ('accepted', 'paid', 'refused', 'not_found', 'unknown', 'declined')
    ) not valid,
    -- That a rail declines to cancel says nothing of how the operation ends, nor does anything else.
    add constraint attempts_cancelling_ends_nothing check (
        case
            when action = 'cancel' then outcome in ('accepted', 'declined', 'unknown')
            else outcome <> 'declined'
        end
    ) not valid;

alter table attempts
    validate constraint attempts_action_known,
    validate constraint attempts_outcome_known,
    validate constraint attempts_cancelling_ends_nothing;

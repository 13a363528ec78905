-- name: approved_as_asked
-- 13. What was approved is there, takes out of the wallet what was asked for, and two people were at it.
select approvals.application_id, approvals.environment::text, approvals.id, approvals.kind
from approvals
left join transfers
    on approvals.kind = 'transfer'
    and transfers.application_id = approvals.application_id
    and transfers.environment = approvals.environment
    and transfers.id = approvals.operation_id
left join payouts
    on approvals.kind = 'payout'
    and payouts.application_id = approvals.application_id
    and payouts.environment = approvals.environment
    and payouts.id = approvals.operation_id
left join refunds
    on approvals.kind = 'refund'
    and refunds.application_id = approvals.application_id
    and refunds.environment = approvals.environment
    and refunds.id = approvals.operation_id
    and refunds.payment_id = approvals.payment_id
where approvals.outcome = 'APPROVED'
    and (
        approvals.decided_by = approvals.asked_by
        or approvals.kind <> 'rules' and (approvals.currency, approvals.amount) is distinct from (
            coalesce(transfers.source_currency, payouts.currency, refunds.currency),
            coalesce(transfers.source_amount, payouts.amount, refunds.amount)
        )
    );

//! Whether a delivery goes out now: one pure question, asked when it arrives and again just before it is sent.

use onering_delivery::{Circumstances, DatabaseTime, HeldReason, Outlook, Standing, Work};
use onering_rollout::Switches;

use crate::subscription_cache::Target;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it.
    Send,
    /// Not now: it waits in Postgres until the reason is gone.
    Hold(HeldReason),
    /// Never: its subscription was deleted.
    Cancel,
    /// Never: it is older than its subscription allows.
    Expire,
}

/// Decides for one delivery. `outlook` is what its subscription's breaker says.
#[must_use]
pub(crate) fn verdict(
    work: &Work,
    target: &Target,
    switches: &Switches,
    outlook: Outlook,
    now: DatabaseTime,
) -> Verdict {
    let circumstances = Circumstances {
        subscription: target.standing,
        partner_active: target.partner_active,
        in_cohort: switches.webhook_cohort.contains(&target.owner_id, target.partner_canary),
        delivery_on: switches.delivery,
        breaker_open: outlook == Outlook::Wait,
    };
    if target.standing == Standing::Deleted {
        return Verdict::Cancel;
    }
    if let Some(reason) = circumstances.hold() {
        return Verdict::Hold(reason);
    }
    match target.max_event_age {
        Some(max_age) if work.is_older_than(max_age, now) => Verdict::Expire,
        _ => Verdict::Send,
    }
}

//! What becomes of a delivery: states, answers and what they mean, the retry schedule, leases, settlement, the ledger.
//!
//! A delivery is one event for one subscription. Entry points: [`settle`] turns one attempt's [`Answer`] into the
//! [`Settlement`] to write; [`judge`] is the table of answers beneath it; [`RetrySchedule`] says when to try again;
//! [`Lease`] says who may try; [`Circumstances`] says whether to try at all; [`Breaker`] leaves a receiver that fails alone;
//! [`FailurePolicy`] says what follows when all tries fail for days; [`Ledger`] proves that nothing was lost; [`ReplayPace`]
//! spreads a replay over time.
//!
//! Invariants: a final [`Status`] never changes; a retry is never earlier than the schedule's entry; no number a
//! receiver chose is used before it was capped.
//!
//! Deliberately absent: clocks, randomness and I/O (now and jitter are arguments), SQL, the stream's encoding, and the
//! signing of requests (`onering-signing`).

mod answer;
mod breaker;
mod database_time;
mod failure_policy;
mod holding;
mod lease;
mod ledger;
mod outcome;
mod reach;
mod replay;
mod replay_pace;
pub mod retry_after;
mod schedule;
mod settlement;
mod snippet;
mod status;
mod text_enum;
mod transition;
mod work;

pub use answer::{Answer, Failure};
pub use breaker::{Breaker, BreakerChange, BreakerInput, BreakerPolicy, BreakerPolicyError, Outlook, Permission};
pub use database_time::DatabaseTime;
pub use failure_policy::{FailurePolicy, FailurePolicyError, FailureStep};
pub use holding::{Circumstances, HeldReason, Standing};
pub use lease::Lease;
pub use ledger::{Ledger, PartnerLedger};
pub use outcome::{AttemptOutcome, JudgePolicy, Outcome, judge};
pub use reach::Reach;
pub use replay::{ReplaySkips, ReplayState, ReplayStatuses, ReplayStatusesError};
pub use replay_pace::{ReplayPace, ReplayRate, ReplayRateError};
pub use schedule::{Next, RetrySchedule, ScheduleError};
pub use settlement::{Attempt, AttemptLog, Rules, Settlement, settle};
pub use snippet::Snippet;
pub use status::Status;
pub use text_enum::UnknownText;
pub use transition::{StatsOutcome, Transition};
pub use work::Work;

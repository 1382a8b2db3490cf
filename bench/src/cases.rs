//! The table of cases. A name says the decision and then which way it goes.

mod access;
mod attempts;
mod breaker;
mod events;
mod ids;
mod latencies;
mod matching;
mod rate_limit;
mod rollout;
mod signing;
mod tokens;
mod verifying;

use crate::Case;

/// All that is measured. Cheap calls are made several times in one, so that one instruction more or less is no percent.
pub const CASES: &[Case] = &[
    Case { name: "access-admit", prepare: access::admit },
    Case { name: "access-refuse", prepare: access::refuse },
    Case { name: "token-digest", prepare: tokens::digest },
    Case { name: "token-garbled", prepare: tokens::garbled },
    Case { name: "rate-limit-window", prepare: rate_limit::window },
    Case { name: "rate-limit-headers", prepare: rate_limit::headers },
    Case { name: "cohort", prepare: rollout::cohort },
    Case { name: "event-parse", prepare: events::parse },
    Case { name: "event-digest", prepare: events::digest },
    Case { name: "event-envelope", prepare: events::envelope },
    Case { name: "pattern-match", prepare: matching::patterns },
    Case { name: "filter-parse", prepare: matching::parse_filter },
    Case { name: "filter-match", prepare: matching::filter },
    Case { name: "sign-x-webhook", prepare: signing::x_webhook },
    Case { name: "sign-standard-webhooks", prepare: signing::standard_webhooks },
    Case { name: "sign-both-schemes", prepare: signing::both_schemes },
    Case { name: "sign-both-schemes-two-secrets", prepare: signing::both_schemes_two_secrets },
    Case { name: "sign-public-key", prepare: signing::public_key },
    Case { name: "verify-x-webhook", prepare: verifying::x_webhook },
    Case { name: "verify-standard-webhooks", prepare: verifying::standard_webhooks },
    Case { name: "verify-public-key", prepare: verifying::public_key },
    Case { name: "verify-forged", prepare: verifying::forged },
    Case { name: "breaker-outage", prepare: breaker::outage },
    Case { name: "breaker-healthy", prepare: breaker::healthy },
    Case { name: "retry-schedule", prepare: attempts::schedule },
    Case { name: "settle-delivered", prepare: attempts::delivered },
    Case { name: "settle-retry", prepare: attempts::retry },
    Case { name: "id-format", prepare: ids::format },
    Case { name: "id-parse", prepare: ids::parse },
    Case { name: "latency-bucket", prepare: latencies::bucket },
];

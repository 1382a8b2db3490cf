//! What an answer's head tells a sender of webhooks.

use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_delivery::retry_after;
use onering_http_exchange::{AnswerHead, Framed, Framing, Header, Malformed, values};
use onering_signing::{KeyAge, header};

/// What the head of an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status.
    pub(crate) code: u16,
    /// The first `Retry-After` that is understood; saturated and capped by the domain.
    pub(crate) retry_after: Option<Duration>,
    /// Whether `X-Webhook-Error: REPLAY_EXPIRED` is there.
    pub(crate) replay_expired: bool,
    /// Which secret the receiver says it verified with.
    pub(crate) verified_with: Option<KeyAge>,
    /// Where the body ends.
    pub(crate) framing: Framing,
    /// Whether another request may follow on the connection once the body is read whole.
    pub(crate) keeps_alive: bool,
}

impl Head {
    /// Reads it. An answer whose end is doubtful counts: its status was said. Nothing that follows it is believed.
    pub(crate) fn of(head: &AnswerHead<'_, '_>, now: impl Fn() -> DateTime<Utc>) -> Result<Self, Malformed> {
        let Framed { framing, keeps_alive, .. } = Framed::of(head, false)?;
        let headers = head.headers;
        Ok(Self {
            code: head.code,
            retry_after: values(headers, "retry-after").find_map(|value| retry_after::parse(text(value)?, now())),
            replay_expired: values(headers, header::ERROR).any(|value| value.trim_ascii() == b"REPLAY_EXPIRED"),
            verified_with: verified_with(headers),
            framing,
            keeps_alive,
        })
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// One known word; contradictory or unknown words say nothing.
fn verified_with(headers: &[Header<'_>]) -> Option<KeyAge> {
    let mut words = values(headers, header::VERIFIED_WITH);
    let word = words.next().filter(|_| words.next().is_none())?;
    KeyAge::of_word(text(word)?.trim_ascii())
}

#[cfg(test)]
mod tests;

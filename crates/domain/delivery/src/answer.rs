use std::time::Duration;

use crate::snippet::Snippet;
use crate::text_enum::text_enum;

/// What one HTTP attempt brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver answered.
    Status {
        /// The HTTP status. Receivers may send any number of three digits; the client reports it as it is.
        code: u16,
        /// The wait the receiver asked for, see [`crate::retry_after`].
        retry_after: Option<Duration>,
        /// Whether `X-Webhook-Error: REPLAY_EXPIRED` was there.
        replay_expired: bool,
        /// The beginning of the answer's body.
        snippet: Snippet,
    },
    /// There was no answer.
    Failed {
        /// The class of the failure.
        failure: Failure,
        /// Its cause for people, free of secrets; kept to [`Answer::MAX_DETAIL_BYTES`]. May be empty.
        detail: String,
    },
}

text_enum! {
    /// Why there was no answer.
    Failure("failure") {
        /// The subscription's time limit passed.
        Timeout = "timeout",
        /// No connection could be made, or it broke before an answer.
        Connect = "connect",
        /// The TLS handshake failed: certificate, name or protocol.
        Tls = "tls",
        /// The host name has no address, or the resolver failed.
        Dns = "dns",
        /// The address guard refused every address: nothing was sent.
        AddressRefused = "address_refused",
        /// What came back is not HTTP.
        InvalidResponse = "invalid_response",
        /// The request could not be built, for example because a stored value is no valid header.
        InvalidRequest = "invalid_request",
    }
}

impl Answer {
    /// The most bytes of [`Answer::Failed`]'s detail that are kept.
    pub const MAX_DETAIL_BYTES: usize = 500;

    /// An answer with a status and nothing else of note.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Status { code, retry_after: None, replay_expired: false, snippet: Snippet::default() }
    }

    /// No answer, and why.
    #[must_use]
    pub fn failed(failure: Failure, detail: impl Into<String>) -> Self {
        Self::Failed { failure, detail: detail.into() }
    }

    /// The HTTP status; `None` when there was no answer.
    #[must_use]
    pub const fn status_code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::Failed { .. } => None,
        }
    }

    /// What went wrong in one line for people: the class of the failure and its cause.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Status { replay_expired: true, code, .. } => format!("answered {code} and REPLAY_EXPIRED"),
            Self::Status { code: code @ 300..=399, .. } => format!("answered {code}; redirects are not followed"),
            Self::Status { code, .. } => format!("answered {code}"),
            Self::Failed { failure, detail } if detail.is_empty() => failure.as_str().to_owned(),
            Self::Failed { failure, detail } => {
                let mut kept = String::with_capacity(detail.len().min(Self::MAX_DETAIL_BYTES) + 20);
                kept.push_str(failure.as_str());
                kept.push_str(": ");
                let bound = kept.len() + Self::MAX_DETAIL_BYTES;
                // Control characters would let a receiver forge lines in a log; NUL no text column takes.
                for character in detail.chars().map(|character| if character.is_control() { ' ' } else { character }) {
                    if kept.len() + character.len_utf8() > bound {
                        break;
                    }
                    kept.push(character);
                }
                kept
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_for_people() {
        assert_eq!(Answer::status(503).describe(), "answered 503");
        assert_eq!(Answer::status(302).describe(), "answered 302; redirects are not followed");
        assert_eq!(Answer::failed(Failure::Dns, "").describe(), "dns");
        assert_eq!(Answer::failed(Failure::Tls, "expired\r\n\0cert").describe(), "tls: expired   cert");
        let expired =
            Answer::Status { code: 409, retry_after: None, replay_expired: true, snippet: Snippet::default() };
        assert_eq!(expired.describe(), "answered 409 and REPLAY_EXPIRED");
    }

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let line = Answer::failed(Failure::Connect, "é".repeat(10_000)).describe();
        assert_eq!(line.len(), "connect: ".len() + Answer::MAX_DETAIL_BYTES);
    }
}

//! Reading an answer without trusting it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use onering_delivery::{Answer, Snippet, retry_after};
use onering_signing::{KeyAge, header};
use tokio::time::error::Elapsed;

/// How much of a body is read: more than is kept, so that the connections of most receivers can be used again.
const MOST_READ: usize = 16 * 1024;
/// How long a body may take once the head is there: the delivery's fate is known by then, and a receiver that drips
/// would only hold its place.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// Turns an answer whose head has arrived into an [`Answer`]. Its body is for people: what has come of it within the
/// bounds of size and time is kept, and a body that breaks off changes nothing.
pub(crate) async fn read_answer(response: reqwest::Response, body_limit: Duration, now: DateTime<Utc>) -> Answer {
    let code = response.status().as_u16();
    let retry_after = retry_wish(response.headers(), now);
    let replay_expired = says_replay_expired(response.headers());
    let snippet = read_beginning(response, body_limit.min(BODY_PATIENCE)).await;
    Answer::Status { code, retry_after, replay_expired, snippet }
}

/// Which secret the receiver says it verified with; contradictory or unknown words say nothing.
pub(crate) fn verified_with(headers: &HeaderMap) -> Option<KeyAge> {
    let mut words = headers.get_all(header::VERIFIED_WITH).iter();
    let word = words.next().filter(|_| words.next().is_none())?;
    KeyAge::of_word(word.to_str().ok()?.trim_ascii())
}

/// The first `Retry-After` that is understood; saturated and capped by the domain.
fn retry_wish(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    headers.get_all(RETRY_AFTER).iter().find_map(|value| retry_after::parse(value.to_str().ok()?, now))
}

fn says_replay_expired(headers: &HeaderMap) -> bool {
    headers.get_all(header::ERROR).iter().any(|value| value.as_bytes().trim_ascii() == b"REPLAY_EXPIRED")
}

async fn read_beginning(mut response: reqwest::Response, limit: Duration) -> Snippet {
    let mut kept = Vec::new();
    let read = async {
        let mut total = 0;
        // An error is a body that broke off.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = Snippet::MAX_BYTES - kept.len();
            kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            total += chunk.len();
            if total >= MOST_READ {
                break;
            }
        }
    };
    let in_time: Result<(), Elapsed> = tokio::time::timeout(limit, read).await;
    // Dropping a response that was not read to its end closes the connection: nobody has to drain it.
    drop((in_time, response));
    Snippet::of(&kept)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static [u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
            .collect()
    }

    #[test]
    fn takes_the_first_retry_after_that_is_understood() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let wish = |value: &'static [u8]| retry_wish(&headers(&[("retry-after", value)]), now);
        assert_eq!(wish(b"120"), Some(Duration::from_secs(120)));
        assert_eq!(wish(b"Thu, 01 Jan 2026 00:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wish(b"99999999999999999999999"), Some(retry_after::LONGEST));
        assert_eq!(wish(b"soon"), None);
        assert_eq!(wish(b"\xff"), None);
        assert_eq!(
            retry_wish(&headers(&[("retry-after", b"soon"), ("retry-after", b"5")]), now),
            None.or(Some(Duration::from_secs(5)))
        );
    }

    #[test]
    fn the_expiry_header_is_matched_whole() {
        assert!(says_replay_expired(&headers(&[("x-webhook-error", b" REPLAY_EXPIRED ")])));
        assert!(!says_replay_expired(&headers(&[("x-webhook-error", b"NOT_REPLAY_EXPIRED")])));
        assert!(!says_replay_expired(&HeaderMap::new()));
    }

    #[test]
    fn the_secret_is_named_by_one_known_word_or_not_at_all() {
        let named = |values: &[&'static [u8]]| {
            verified_with(&headers(&values.iter().map(|value| ("x-webhook-verified-with", *value)).collect::<Vec<_>>()))
        };
        assert_eq!(named(&[b"current"]), Some(KeyAge::Current));
        assert_eq!(named(&[b"previous "]), Some(KeyAge::Previous));
        assert_eq!(named(&[]), None);
        for unknown in [&b""[..], b"Current", b"both", b"\xff", b"current, previous"] {
            assert_eq!(named(&[unknown]), None);
        }
        // A map made of pairs keeps the last; a real answer may bring two.
        let mut twice = headers(&[("x-webhook-verified-with", b"current")]);
        twice.append("x-webhook-verified-with", HeaderValue::from_static("previous"));
        assert_eq!(verified_with(&twice), None);
    }
}

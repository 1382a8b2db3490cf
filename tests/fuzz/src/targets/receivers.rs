use onering_delivery::{Answer, Failure, JudgePolicy, Outcome, Snippet, judge, retry_after};

use crate::Seen;

/// What a receiver answered: the first two bytes are the status, the rest the body, which is also read as `Retry-After` and as
/// the cause of a failure.
///
/// What is kept is text that a column can hold, bounded; only 2xx is delivered; no wait is beyond its bound.
pub(super) fn answer(bytes: &[u8]) -> Seen {
    let (code, body) = match bytes {
        [high, low, body @ ..] => (u16::from_be_bytes([*high, *low]) % 1_000, body),
        _ => (200, bytes),
    };
    let snippet = Snippet::of(body);
    assert!(snippet.as_str().len() <= Snippet::MAX_BYTES && !snippet.as_str().contains('\0'));
    assert_eq!(Snippet::of(snippet.as_str().as_bytes()), snippet, "what is kept is kept as it is");
    let text = String::from_utf8_lossy(body);
    let wait = retry_after::parse(&text, chrono::DateTime::UNIX_EPOCH);
    let replay_expired = text.contains("REPLAY_EXPIRED");
    let answer = Answer::Status { code, retry_after: wait, replay_expired, snippet };
    let mut outcomes = Vec::new();
    for retry_client_errors in [false, true] {
        let outcome = judge(&answer, &JudgePolicy { retry_client_errors });
        assert_eq!(outcome == Outcome::Delivered, (200..300).contains(&code) && !replay_expired);
        assert!(!matches!(outcome, Outcome::Retry { retry_after: Some(wait) } if wait > retry_after::LONGEST));
        outcomes.push(std::mem::discriminant(&outcome));
    }
    let told = Answer::failed(Failure::Tls, text).describe();
    assert!(told.len() <= Answer::MAX_DETAIL_BYTES + 20 && !told.contains(char::is_control), "{told:?}");
    Seen::of((outcomes, wait.is_some(), body.len().min(2_100) / 100, body.is_ascii()))
}

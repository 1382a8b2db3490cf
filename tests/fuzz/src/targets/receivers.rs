use onering_delivery::{Answer, Failure, JudgePolicy, Outcome, Snippet, judge, retry_after};
use onering_webhook_client::reading::{ReadAnswer, read_answer};

use crate::Seen;

/// More than any head and what is read of a body.
const MOST_TAKEN: usize = (64 + 16) << 10;

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

/// What a receiver sends over a connection: the first byte says where it is torn in two.
///
/// How the bytes come makes no difference. What is an answer has a status, is bounded, and stays the same whatever follows it;
/// where another request may follow on the connection, it ends exactly where the next answer begins.
pub(super) fn http_answer(bytes: &[u8]) -> Seen {
    let Some((cut, bytes)) = bytes.split_first() else { return Seen::of("empty") };
    let now = chrono::DateTime::UNIX_EPOCH;
    let read = read_answer(&[bytes], now);
    let (first, second) = bytes.split_at(bytes.len() * usize::from(*cut) / 255);
    assert_eq!(read_answer(&[first, second], now), read, "torn after {} bytes", first.len());
    assert_eq!(read_answer(&bytes.chunks(1).collect::<Vec<_>>(), now), read, "byte by byte");
    let read = match read {
        Ok(Some(read)) => read,
        Ok(None) => return Seen::of("the beginning of a head"),
        Err(reason) => return Seen::of(reason),
    };
    let Answer::Status { code, retry_after: wait, replay_expired, snippet } = &read.answer else {
        panic!("what was read is no failure: {read:?}");
    };
    assert!((100..1_000).contains(code) && (*code == 101 || *code >= 200));
    assert!(read.taken <= bytes.len() && read.taken <= MOST_TAKEN && snippet.as_str().len() <= Snippet::MAX_BYTES);
    assert!(wait.is_none_or(|wait| wait <= retry_after::LONGEST));
    if read.is_whole {
        let next = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let followed = [&bytes[..read.taken], next].concat();
        assert_eq!(read_answer(&[&followed], now), Ok(Some(read.clone())), "what follows changes it");
        let after = read_answer(&[&followed[read.taken..]], now);
        assert!(matches!(after, Ok(Some(ReadAnswer { is_whole: true, keeps_alive: true, .. }))));
    }
    let named = read.verified_with.is_some();
    Seen::of((
        read.is_whole,
        read.keeps_alive,
        wait.is_some(),
        replay_expired,
        named,
        code / 100,
        snippet.as_str().len().min(8),
    ))
}

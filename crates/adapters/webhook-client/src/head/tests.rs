use onering_http_exchange::{HeadReader, MOST_HEAD_BYTES as MOST_BYTES};
use proptest::prelude::*;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

type Found = Result<Option<(Head, usize)>, Malformed>;

fn find(bytes: &[u8]) -> Found {
    HeadReader::default().find(bytes, |head| Head::of(&head, now))
}

/// The head of an answer with these lines.
fn head(lines: &str) -> Head {
    let bytes = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    let (head, end) = find(bytes.as_bytes()).unwrap().unwrap();
    assert_eq!(end, bytes.len());
    head
}

#[test]
fn where_an_answer_ends_and_whether_another_may_follow() {
    for (lines, framing, keeps_alive) in [
        ("Content-Length: 5\r\n", Framing::Length(5), true),
        ("content-length:0\r\n", Framing::Length(0), true),
        ("Content-Length: 5, 5\r\nContent-Length: 5\r\n", Framing::Length(5), true),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked, true),
        ("Transfer-Encoding: gzip, Chunked\r\n", Framing::Chunked, true),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Framing::Chunked, true),
        ("Transfer-Encoding: chunked, gzip\r\n", Framing::Close, false),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Framing::Chunked, false),
        ("Content-Length: 5\r\nConnection: close\r\n", Framing::Length(5), false),
        ("Content-Length: 5\r\nConnection: x, Close\r\n", Framing::Length(5), false),
        ("Content-Length: 5\r\nConnection: keep-alive\r\n", Framing::Length(5), true),
        ("", Framing::Close, false),
    ] {
        let head = head(lines);
        assert_eq!((head.framing, head.keeps_alive), (framing, keeps_alive), "{lines:?}");
    }
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    for (begin, keeps_alive) in [
        ("HTTP/1.1 204 No Content\r\n", true),
        ("HTTP/1.1 204\r\nContent-Length: 0\r\n", true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n", false),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n", false),
        ("HTTP/1.1 304 Not Modified\r\n", true),
        ("HTTP/1.1 101 Switching Protocols\r\n", false),
        ("HTTP/1.0 204 No Content\r\n", false),
    ] {
        let (head, _) = find(format!("{begin}\r\n").as_bytes()).unwrap().unwrap();
        assert_eq!((head.framing, head.keeps_alive), (Framing::Length(0), keeps_alive), "{begin:?}");
    }
}

#[test]
fn a_length_that_is_none_is_no_answer() {
    for length in ["", "-1", "+1", "1x", "0x10", "1 1", "5, 6", "5\r\nContent-Length: 6", "5,", "18446744073709551616"]
    {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(find(bytes.as_bytes()), Err(Malformed::ContentLength), "{length:?}");
    }
    assert_eq!(head("Content-Length: 18446744073709551615\r\n").framing, Framing::Length(u64::MAX));
}

#[test]
fn interim_answers_are_passed_over_up_to_a_bound() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let last = "HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n";
    let several = |times| [interim.repeat(times).as_bytes(), last.as_bytes()].concat();
    let (head, end) = find(&several(8)).unwrap().unwrap();
    assert_eq!((head.code, end), (418, several(8).len()));
    assert_eq!(find(&several(9)), Err(Malformed::TooManyInterim));
}

#[test]
fn what_is_no_head_is_told_from_one_that_is_not_whole() {
    let ended = |bytes: &[u8]| {
        let mut reader = HeadReader::default();
        assert_eq!(reader.find(bytes, |head| Head::of(&head, now)), Ok(None));
        reader.ended(bytes)
    };
    for beginning in ["", "HTT", "HTTP/1.1", "HTTP/1.1 200 OK\r\nX-Half: ", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2"] {
        assert_eq!(ended(beginning.as_bytes()), None, "{beginning:?}");
    }
    assert!(ended(b"HTTP/1.1 two hundred\r\n").is_some());
    for garbage in ["220 mail.example ESMTP\r\n", "\0", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/2 200\r\n\r\n"] {
        assert_eq!(find(garbage.as_bytes()), Err(Malformed::Protocol), "{garbage:?}");
    }
    for garbage in
        ["two hundred", "20", "2000 OK", "099 Low", "200 OK\r\n folded: x", "200 OK\r\nX : 1", "200 OK\r\n: x"]
    {
        let found = find(format!("HTTP/1.1 {garbage}\r\n\r\n").as_bytes());
        assert!(matches!(found, Err(Malformed::Form(_))), "{garbage:?}: {found:?}");
    }
}

#[test]
fn heads_are_bounded_in_lines_and_bytes() {
    let lines = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: 1\r\n".repeat(count));
    assert!(find(lines(100).as_bytes()).unwrap().is_some());
    assert_eq!(find(lines(101).as_bytes()), Err(Malformed::Form(httparse::Error::TooManyHeaders)));
    let begin = "HTTP/1.1 200 OK\r\nX: ";
    let sized = |bytes: usize| format!("{begin}{}\r\n\r\n", "x".repeat(bytes - begin.len() - 4));
    assert!(find(sized(MOST_BYTES).as_bytes()).unwrap().is_some());
    assert_eq!(find(sized(MOST_BYTES + 1).as_bytes()), Err(Malformed::TooLong));
    assert_eq!(find(&sized(MOST_BYTES * 2).as_bytes()[..MOST_BYTES]), Err(Malformed::TooLong));
}

#[test]
fn takes_the_first_retry_after_that_is_understood() {
    let wish = |value: &str| head(&format!("retry-after: {value}\r\n")).retry_after;
    assert_eq!(wish("120"), Some(Duration::from_secs(120)));
    assert_eq!(wish("Thu, 01 Jan 2026 00:01:00 GMT"), Some(Duration::from_secs(60)));
    assert_eq!(wish("99999999999999999999999"), Some(retry_after::LONGEST));
    assert_eq!(wish("soon"), None);
    assert_eq!(wish("soon\r\nRETRY-AFTER: 5"), Some(Duration::from_secs(5)));
    let (head, _) = find(b"HTTP/1.1 503 Busy\r\nRetry-After: \xff\r\n\r\n").unwrap().unwrap();
    assert_eq!(head.retry_after, None);
}

#[test]
fn the_expiry_header_is_matched_whole() {
    assert!(head("X-Webhook-Error:  REPLAY_EXPIRED \r\n").replay_expired);
    assert!(!head("x-webhook-error: NOT_REPLAY_EXPIRED\r\n").replay_expired);
    assert!(!head("").replay_expired);
}

#[test]
fn the_secret_is_named_by_one_known_word_or_not_at_all() {
    let named = |words: &[&str]| {
        let lines: String = words.iter().map(|word| format!("X-Webhook-Verified-With: {word}\r\n")).collect();
        head(&lines).verified_with
    };
    assert_eq!(named(&["current"]), Some(KeyAge::Current));
    assert_eq!(named(&["previous "]), Some(KeyAge::Previous));
    for unknown in [&[][..], &[""], &["Current"], &["both"], &["current, previous"], &["current", "previous"]] {
        assert_eq!(named(unknown), None, "{unknown:?}");
    }
}

/// Anything, made of what heads are made of.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204\n",
        "HTTP/1.0 500 Oh\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "Content-Length: 5\r\n",
        "content-length: 6\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "Retry-After: 7\r\n",
        "X: y\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\0",
    ]);
    let piece = prop_oneof![6 => pieces.prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..8)];
    let begin = prop_oneof![4 => Just(&b"HTTP/1.1 200 OK\r\n"[..]), 1 => Just(&b""[..])];
    (begin, prop::collection::vec(piece, 0..12)).prop_map(|(begin, pieces)| [begin.to_vec(), pieces.concat()].concat())
}

/// What comes of the bytes when they come in these pieces.
fn in_pieces(bytes: &[u8], cuts: &[prop::sample::Index]) -> (Found, Option<Malformed>) {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut reader = HeadReader::default();
    for end in ends {
        match reader.find(&bytes[..end], |head| Head::of(&head, now)) {
            Ok(None) => {}
            found => return (found, None),
        }
    }
    (Ok(None), reader.ended(bytes))
}

proptest! {
    #[test]
    fn how_the_bytes_come_makes_no_difference(bytes in anything(), cuts: [prop::sample::Index; 4]) {
        let (whole, pieces) = (in_pieces(&bytes, &[]), in_pieces(&bytes, &cuts));
        prop_assert_eq!(&whole, &pieces);
        if let Ok(Some((head, end))) = whole.0 {
            prop_assert!(end <= bytes.len() && (100..1000).contains(&head.code));
            let longer = [&bytes[..], b"HTTP/1.1 500 Other\r\n\r\n"].concat();
            prop_assert_eq!(find(&longer), Ok(Some((head, end))), "what follows a head changes it");
        }
    }
}

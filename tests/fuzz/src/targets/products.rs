//! What a product answers, as the gateway passes it on.

use onering_web::{ForwardedAnswer, read_forwarded};
use onering_webhook_client::reading::read_answer;

use crate::Seen;

/// Headers that concern one connection.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// What a product answers to a call that is passed on: the first byte says where it is torn in two, and whether the call was
/// `HEAD`.
///
/// How the bytes come makes no difference, nor does what follows them. What is passed on has as much content as it says, nothing
/// that concerns the connection it came over, and is the same when it is passed on again. Nobody could find its end
/// elsewhere; who sends webhooks finds the same.
pub(super) fn forwarded_answer(bytes: &[u8]) -> Seen {
    let Some((cut, bytes)) = bytes.split_first() else { return Seen::of("empty") };
    let is_head = cut % 8 == 7;
    let read = read_forwarded(&[bytes], is_head);
    let (first, second) = bytes.split_at(bytes.len() * usize::from(*cut) / 255);
    assert_eq!(read_forwarded(&[first, second], is_head), read, "torn after {} bytes", first.len());
    assert_eq!(read_forwarded(&bytes.chunks(1).collect::<Vec<_>>(), is_head), read, "byte by byte");
    let read = match read {
        Ok(Some(read)) => read,
        Ok(None) => return Seen::of("the beginning of a head"),
        Err(reason) => return Seen::of(reason),
    };
    has_one_end(bytes);
    is_fit_to_be_passed_on(&read, is_head);
    let again =
        read_forwarded(&[&written(&read)], is_head).expect("what was passed on is an answer").expect("and whole");
    assert_eq!((again.status, &again.headers, again.length), (read.status, &read.headers, read.length));
    assert_eq!((&again.content, again.behind), (&read.content, 0));
    if read.is_whole {
        what_follows_is_another(&read, bytes, is_head);
    }
    if !is_head {
        webhooks_agree(&read, bytes);
    }
    Seen::of((
        read.status / 100,
        read.is_whole,
        read.keeps_alive,
        read.length.is_some(),
        read.content.len().min(8),
        read.headers.len().min(4),
        read.behind.min(1),
    ))
}

/// Nobody could find the end elsewhere: the codings, where there are any, are `chunked` alone and beside no length.
fn has_one_end(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let head: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    let values = |name: &str| head.iter().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
    let (codings, lengths) = (values("transfer-encoding:"), values("content-length:"));
    // What stands in an interim answer says nothing of the one behind it.
    if codings.is_empty() || head[0].split(' ').nth(1).is_some_and(|status| status.starts_with('1')) {
        return;
    }
    assert_eq!((codings.len(), codings[0].trim(), lengths), (1, "chunked", Vec::new()), "{head:?}");
    assert!(head[0].starts_with("http/1.1"), "{head:?}");
}

fn is_fit_to_be_passed_on(read: &ForwardedAnswer, is_head: bool) {
    assert!((200..1_000).contains(&read.status), "{}", read.status);
    for (name, value) in &read.headers {
        assert!(!HOP_BY_HOP.contains(&name.as_str()), "{name}");
        assert!(name != "content-length" || read.status == 304);
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')), "{name}");
    }
    if is_head || matches!(read.status, 204 | 304) {
        assert!(read.content.is_empty() && read.is_whole);
    } else if let Some(length) = read.length {
        let came = read.content.len() as u64;
        assert!(if read.is_whole { came == length } else { came < length }, "{came} of {length} bytes");
    }
}

/// The answer as it goes out, up to the end of the connection.
fn written(read: &ForwardedAnswer) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} Any\r\n", read.status).into_bytes();
    for (name, value) in &read.headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    if let Some(length) = read.length {
        bytes.extend(format!("Content-Length: {length}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(&read.content);
    bytes
}

/// Where the answer has an end of its own, it ends exactly where the next one begins.
fn what_follows_is_another(read: &ForwardedAnswer, bytes: &[u8], is_head: bool) {
    let next = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let followed = [&bytes[..bytes.len() - read.behind], next].concat();
    let with_next = read_forwarded(&[&followed], is_head).expect("still an answer").expect("still whole");
    if with_next.behind == 0 {
        assert!(!read.keeps_alive && with_next.content.len() == read.content.len() + next.len(), "{with_next:?}");
    } else {
        assert_eq!(with_next, ForwardedAnswer { behind: next.len(), ..read.clone() }, "what follows changes it");
    }
}

/// What is passed on without a doubt, a sender of webhooks reads alike, as far as it reads.
fn webhooks_agree(read: &ForwardedAnswer, bytes: &[u8]) {
    let theirs = read_answer(&[bytes], chrono::DateTime::UNIX_EPOCH).expect("an answer").expect("and its head");
    assert_eq!(theirs.keeps_alive, read.keeps_alive);
    if theirs.is_whole {
        assert!(read.is_whole && theirs.taken == bytes.len() - read.behind, "{} bytes taken", theirs.taken);
    }
}

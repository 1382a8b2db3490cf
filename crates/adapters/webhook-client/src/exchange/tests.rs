//! Over real sockets, whose other end does as the test says.

use onering_http_exchange::Framing;
use onering_testkit::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const LONG: Duration = Duration::from_secs(20);
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

/// A connection, and its other end.
async fn pair() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    ours.set_nodelay(true).unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    theirs.set_nodelay(true).unwrap();
    (Connection::new(Stream::Plain(ours)), theirs)
}

/// Closes it so that the other side learns of it at once and takes it for an error.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

async fn ask(connection: Connection, request: [&[u8]; 2]) -> Result<Answering, Broken> {
    tokio::time::timeout(LONG, connection.ask(request, now)).await.expect("the exchange ends")
}

#[tokio::test]
async fn a_request_is_written_and_its_answer_read_in_any_pieces() {
    let (connection, mut theirs) = pair().await;
    let answering = tokio::spawn(async move { ask(connection, [b"HEAD\r\n\r\n", b"BODY"]).await });
    let mut request = [0; 12];
    theirs.read_exact(&mut request).await.unwrap();
    assert_eq!(&request, b"HEAD\r\n\r\nBODY");
    for byte in b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\ncontent-length: 4\r\n\r\nlate" {
        theirs.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let answering = answering.await.unwrap().unwrap();
    let head = &answering.head;
    assert_eq!((head.code, head.retry_after, head.framing), (503, Some(Duration::from_secs(7)), Framing::Length(4)));
    let (snippet, connection) = answering.finish(LONG).await;
    assert_eq!(snippet.as_str(), "late");
    assert!(connection.unwrap().is_quiet());
}

#[tokio::test]
async fn a_connection_goes_on_only_after_an_end_that_nobody_can_doubt() {
    for (answer, goes_on) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], true),
        (b"HTTP/1.1 204 No Content\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nT: x\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", false),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", false),
    ] {
        let (connection, mut theirs) = pair().await;
        theirs.write_all(answer).await.unwrap();
        let (_, connection) = ask(connection, [b"HEAD", b""]).await.unwrap().finish(LONG).await;
        assert_eq!(connection.is_some(), goes_on, "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn a_connection_is_quiet_while_it_is_open_and_nothing_comes() {
    let (mut silent, _theirs) = pair().await;
    assert!(silent.is_quiet());
    for kind in ["closed", "reset", "talks"] {
        let (mut connection, mut theirs) = pair().await;
        match kind {
            "talks" => theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap(),
            "reset" => reset(&theirs),
            _ => {}
        }
        let kept = (kind == "talks").then_some(theirs);
        eventually(LONG, kind, async || !connection.is_quiet()).await;
        drop(kept);
    }
}

#[tokio::test]
async fn what_took_nothing_is_told_from_what_took_something() {
    // It is known to be reset before the request is written.
    let (connection, theirs) = pair().await;
    reset(&theirs);
    drop(theirs);
    let Stream::Plain(ours) = &connection.stream else { unreachable!("it is in the clear") };
    ours.readable().await.unwrap();
    let unsent = ask(connection, [b"HEAD", b"BODY"]).await.unwrap_err();
    assert!(matches!(unsent, Broken::Unsent(_)), "{unsent:?}");

    // It takes the request and says nothing.
    let (connection, theirs) = pair().await;
    drop(theirs);
    let closed = ask(connection, [b"HEAD", b"BODY"]).await.unwrap_err();
    assert!(matches!(closed, Broken::Closed | Broken::Exchange(_)), "{closed:?}");

    // It takes a part of a request that is larger than anything between the two.
    let (connection, mut theirs) = pair().await;
    let body = vec![b'x'; 64 << 20];
    let asking = tokio::spawn(async move { ask(connection, [b"HEAD", &body]).await });
    theirs.read_exact(&mut [0; 100]).await.unwrap();
    reset(&theirs);
    drop(theirs);
    let broken = asking.await.unwrap().unwrap_err();
    assert!(matches!(broken, Broken::Exchange(_)), "{broken:?}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_out_is_heard() {
    let body = vec![b'x'; 64 << 20];
    let (connection, mut theirs) = pair().await;
    theirs.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await.unwrap();
    let answering = ask(connection, [b"HEAD", &body]).await.unwrap();
    assert_eq!(answering.head.code, 413);
    let (snippet, connection) = answering.finish(LONG).await;
    assert!(snippet.as_str() == "big" && connection.is_none(), "a request that is half out is followed by none");

    // An interim answer is none: the rest goes out.
    let (connection, mut theirs) = pair().await;
    theirs.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    let size = body.len();
    let asking = tokio::spawn(async move { ask(connection, [b"", &body]).await });
    let taken = tokio::io::copy(&mut (&mut theirs).take(size as u64), &mut tokio::io::sink()).await.unwrap();
    theirs.write_all(TAKEN).await.unwrap();
    let answering = asking.await.unwrap().unwrap();
    assert_eq!((taken, answering.head.code), (size as u64, 200));
    assert!(answering.finish(LONG).await.1.is_some());
}

#[tokio::test]
async fn what_is_kept_between_requests_is_small() {
    let (connection, mut theirs) = pair().await;
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(60_000));
    theirs.write_all(large.as_bytes()).await.unwrap();
    let (_, connection) = ask(connection, [b"HEAD", b""]).await.unwrap().finish(LONG).await;
    let connection = connection.unwrap();
    assert!(connection.buffer.capacity() <= READ_BYTES, "{}", connection.buffer.capacity());
    // And it is used again.
    theirs.write_all(TAKEN).await.unwrap();
    assert_eq!(ask(connection, [b"HEAD", b""]).await.unwrap().head.code, 200);
}

//! The beginning of an answer's body, which is for people.

use onering_delivery::Snippet;
use onering_http_exchange::{BodyReader, Framing};

/// How much is read, chunk sizes and trailers included: more than is kept, so that the connections of most receivers can be
/// used again.
pub(crate) const MOST_READ: usize = 16 * 1024;

/// Keeps the beginning of a body as its bytes come.
#[derive(Debug)]
pub(crate) struct SnippetReader {
    body: BodyReader,
    /// What came of it, as far as it is kept.
    kept: Vec<u8>,
    /// Bytes taken, of every kind.
    read: usize,
}

impl SnippetReader {
    pub(crate) const fn new(framing: Framing) -> Self {
        Self { body: BodyReader::new(framing), kept: Vec::new(), read: 0 }
    }

    /// Takes what has come; answers how many of the bytes belonged to the body or were looked at to find its end.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut rest = &bytes[..bytes.len().min(MOST_READ - self.read)];
        let mut count = 0;
        while !rest.is_empty() && !self.body.is_over() {
            let taken = self.body.take(rest);
            let (these, behind) = rest.split_at(taken.count);
            if taken.is_content {
                let room = Snippet::MAX_BYTES - self.kept.len();
                self.kept.extend_from_slice(&these[..these.len().min(room)]);
            }
            (rest, count) = (behind, count + taken.count);
        }
        self.read += count;
        count
    }

    /// Whether nothing more is read: it is whole, broken, or more than is read.
    pub(crate) const fn is_over(&self) -> bool {
        self.body.is_over() || self.read >= MOST_READ
    }

    /// Whether it came to its end, so that what follows on the connection is something else.
    pub(crate) fn is_whole(&self) -> bool {
        self.body.is_whole()
    }

    /// Its beginning.
    pub(crate) fn snippet(&self) -> Snippet {
        Snippet::of(&self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept, whether the body came to its end, and how many bytes were taken.
    fn read(framing: Framing, pieces: &[&[u8]]) -> (String, bool, usize) {
        let mut reader = SnippetReader::new(framing);
        let mut taken = 0;
        for piece in pieces {
            let of_this = reader.take(piece);
            taken += of_this;
            assert!(of_this == piece.len() || reader.is_over());
        }
        (reader.snippet().as_str().to_owned(), reader.is_whole(), taken)
    }

    /// Where bodies end is tested where their end is found.
    #[test]
    fn content_is_kept_and_its_coding_is_not() {
        let pieces: [&[u8]; 3] = [b"5\r\nhel", b"lo\r\n0\r\n\r", b"\nmore"];
        assert_eq!(read(Framing::Chunked, &pieces), ("hello".to_owned(), true, 15));
    }

    #[test]
    fn everything_is_bounded() {
        let long = vec![b'x'; MOST_READ + 10];
        for framing in [Framing::Length(u64::MAX), Framing::Close, Framing::Chunked] {
            let mut reader = SnippetReader::new(framing);
            let mut taken = if framing == Framing::Chunked { reader.take(b"fffffffffffffff\r\n") } else { 0 };
            taken += reader.take(&long) + reader.take(&long);
            assert!(reader.is_over() && !reader.is_whole());
            assert_eq!((taken, reader.snippet().as_str().len(), reader.kept.len()), (MOST_READ, 2048, 2048));
        }
        // Neither extensions nor trailers are a way around it.
        for endless in [&b"1;"[..], b"0\r\n", b"0\r\nx"] {
            let mut reader = SnippetReader::new(Framing::Chunked);
            let taken = reader.take(endless) + reader.take(&long);
            assert_eq!((taken, reader.is_over(), reader.kept.len()), (MOST_READ, true, 0));
        }
        // The very last byte may be the end.
        assert!(read(Framing::Length(MOST_READ as u64), &[&long]).1);
    }
}

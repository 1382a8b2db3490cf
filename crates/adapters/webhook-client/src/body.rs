//! The body of an answer: how far it goes, and its beginning, which is for people.

use onering_delivery::Snippet;

use crate::head::Framing;

/// How much is read, chunk sizes and trailers included: more than is kept, so that the connections of most receivers can be
/// used again.
pub(crate) const MOST_READ: usize = 16 * 1024;
/// Digits of a chunk's size: more than any chunk that is read to its end needs.
const MOST_DIGITS: u8 = 15;

/// Takes a body as its bytes come.
#[derive(Debug)]
pub(crate) struct BodyReader {
    state: State,
    /// What came of it, as far as it is kept.
    kept: Vec<u8>,
    /// Bytes taken, of every kind.
    read: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This many bytes are to come.
    Length(u64),
    /// Whatever comes until the connection is closed.
    UntilClose,
    /// Somewhere in the chunked coding (RFC 9112, section 7.1).
    Chunked(Chunked),
    /// Its end was there.
    Whole,
    /// No end can be found.
    Broken,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunked {
    /// The digits of a size.
    Size { size: u64, digits: u8 },
    /// The rest of the line with the size: extensions, which mean nothing here.
    Extension { size: u64 },
    /// The end of that line, after its carriage return.
    SizeEnd { size: u64 },
    /// Bytes of the body.
    Data { left: u64 },
    /// The carriage return after them.
    DataReturn,
    /// The end of line after them.
    DataEnd,
    /// A trailer, or the empty line that ends it all.
    Trailers,
    /// The rest of a trailer, which means nothing here.
    Trailer,
    /// The last end of line.
    LastEnd,
}

const A_CHUNK: State = State::Chunked(Chunked::Size { size: 0, digits: 0 });

impl BodyReader {
    pub(crate) const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Whole,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => A_CHUNK,
            Framing::Close => State::UntilClose,
        };
        Self { state, kept: Vec::new(), read: 0 }
    }

    /// Takes what has come; answers how many of the bytes belonged to the body or were looked at to find its end.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let bytes = &bytes[..bytes.len().min(MOST_READ - self.read)];
        let mut taken = 0;
        while taken < bytes.len() && !matches!(self.state, State::Whole | State::Broken) {
            taken += self.step(&bytes[taken..]);
        }
        self.read += taken;
        taken
    }

    /// Whether nothing more is read: it is whole, broken, or more than is read.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Whole | State::Broken) || self.read >= MOST_READ
    }

    /// Whether it came to its end, so that what follows on the connection is something else.
    pub(crate) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Its beginning.
    pub(crate) fn snippet(&self) -> Snippet {
        Snippet::of(&self.kept)
    }

    /// Takes at least one of the bytes, of which there is one.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let (wanted, chunked) = match self.state {
            State::Length(left) => (left, false),
            State::UntilClose => (u64::MAX, false),
            State::Chunked(Chunked::Data { left }) => (left, true),
            State::Chunked(place) => {
                self.state = place.after(bytes[0]);
                return 1;
            }
            State::Whole | State::Broken => return bytes.len(),
        };
        let count = bytes.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let room = Snippet::MAX_BYTES - self.kept.len();
        self.kept.extend_from_slice(&bytes[..count.min(room)]);
        let left = wanted - count as u64;
        self.state = match self.state {
            State::UntilClose => State::UntilClose,
            _ if chunked && left == 0 => State::Chunked(Chunked::DataReturn),
            _ if chunked => State::Chunked(Chunked::Data { left }),
            _ if left == 0 => State::Whole,
            _ => State::Length(left),
        };
        count
    }
}

impl Chunked {
    /// Where one byte leads. Lines end with both characters, as RFC 9112 has it: what takes one for two, or the other way
    /// round, finds the end elsewhere than the receiver did.
    fn after(self, byte: u8) -> State {
        let next = match (self, byte) {
            (Self::Size { digits: 1.., size }, b'\r') | (Self::Extension { size }, b'\r') => Self::SizeEnd { size },
            (Self::Size { digits: 1.., size }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Size { size, digits }, _) => match char::from(byte).to_digit(16) {
                Some(digit) if digits < MOST_DIGITS => {
                    Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
                }
                _ => return State::Broken,
            },
            (Self::Extension { .. }, b'\n') => return State::Broken,
            (Self::Extension { size }, _) => Self::Extension { size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailers,
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => return A_CHUNK,
            (Self::Trailers, b'\r') => Self::LastEnd,
            (Self::LastEnd, b'\n') => return State::Whole,
            (Self::Trailers, b'\n') => return State::Broken,
            (Self::Trailer, b'\n') => Self::Trailers,
            (Self::Trailers | Self::Trailer, _) => Self::Trailer,
            (Self::SizeEnd { .. } | Self::Data { .. } | Self::DataReturn | Self::DataEnd | Self::LastEnd, _) => {
                return State::Broken;
            }
        };
        State::Chunked(next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is kept, whether the body came to its end, and how many bytes were taken.
    fn read(framing: Framing, pieces: &[&[u8]]) -> (String, bool, usize) {
        let mut reader = BodyReader::new(framing);
        let mut taken = 0;
        for piece in pieces {
            let of_this = reader.take(piece);
            taken += of_this;
            assert!(of_this == piece.len() || reader.is_over());
        }
        (reader.snippet().as_str().to_owned(), reader.is_whole(), taken)
    }

    #[test]
    fn a_length_is_the_end() {
        assert_eq!(read(Framing::Length(5), &[b"hel", b"lo and more"]), ("hello".to_owned(), true, 5));
        assert_eq!(read(Framing::Length(5), &[b"hel"]), ("hel".to_owned(), false, 3));
        assert_eq!(read(Framing::Length(0), &[b"more"]), (String::new(), true, 0));
        assert_eq!(read(Framing::Close, &[b"hel", b"lo"]), ("hello".to_owned(), false, 5));
    }

    #[test]
    fn chunks_come_out_of_their_coding() {
        for body in [
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            "005;name=\"value\"\r\nhello\r\n6 \r\n world\r\n0;last\r\n\r\n",
            "B\r\nhello world\r\n00\r\nTrailer: x\r\nAnother: y\r\n\r\n",
        ] {
            assert_eq!(read(Framing::Chunked, &[body.as_bytes()]), ("hello world".to_owned(), true, body.len()));
            let more = format!("{body}HTTP/1.1 200 OK");
            assert_eq!(read(Framing::Chunked, &[more.as_bytes()]).2, body.len(), "{body:?}");
        }
    }

    #[test]
    fn what_is_no_chunk_has_no_end() {
        for body in [
            "\r\nhello",
            ";\r\n",
            "g\r\n",
            "-1\r\n",
            "5\nhello",
            "5;x\nhello",
            "5\r\rhello",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\r0",
            "0\r\n\n",
            "0\r\n\rx",
            "1000000000000000\r\nx",
            "0x5\r\nhello",
        ] {
            let mut reader = BodyReader::new(Framing::Chunked);
            reader.take(body.as_bytes());
            assert!(reader.is_over() && !reader.is_whole(), "{body:?}: {reader:?}");
        }
    }

    #[test]
    fn everything_is_bounded() {
        let long = vec![b'x'; MOST_READ + 10];
        for framing in [Framing::Length(u64::MAX), Framing::Close, Framing::Chunked] {
            let mut reader = BodyReader::new(framing);
            let mut taken = if framing == Framing::Chunked { reader.take(b"fffffffffffffff\r\n") } else { 0 };
            taken += reader.take(&long) + reader.take(&long);
            assert!(reader.is_over() && !reader.is_whole());
            assert_eq!((taken, reader.snippet().as_str().len(), reader.kept.len()), (MOST_READ, 2048, 2048));
        }
        // Neither extensions nor trailers are a way around it.
        for endless in [&b"1;"[..], b"0\r\n", b"0\r\nx"] {
            let mut reader = BodyReader::new(Framing::Chunked);
            let taken = reader.take(endless) + reader.take(&long);
            assert_eq!((taken, reader.is_over(), reader.kept.len()), (MOST_READ, true, 0));
        }
        // The very last byte may be the end.
        assert!(read(Framing::Length(MOST_READ as u64), &[&long]).1);
    }

    fn framing() -> impl Strategy<Value = Framing> {
        prop_oneof![(0_u64..200).prop_map(Framing::Length), Just(Framing::Chunked), Just(Framing::Close)]
    }

    /// Anything, made of what bodies are made of.
    fn anything() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop::sample::select(vec![
            "0",
            "5",
            "a",
            "\r\n",
            "\r",
            "\n",
            "hello",
            ";x",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
            "T: x\r\n",
        ]);
        let piece = prop_oneof![8 => pieces.prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..6)];
        prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn how_the_bytes_come_makes_no_difference(framing in framing(), bytes in anything(), cut: prop::sample::Index) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(read(framing, &[&bytes]), read(framing, &[first, second]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(read(framing, &[&bytes]), read(framing, &single));
        }

        #[test]
        fn what_is_put_into_chunks_comes_out(pieces in prop::collection::vec("[a-z]{1,40}", 0..8)) {
            let mut coded: String = pieces.iter().map(|piece| format!("{:X}\r\n{piece}\r\n", piece.len())).collect();
            coded.push_str("0\r\n\r\n");
            prop_assert_eq!(read(Framing::Chunked, &[coded.as_bytes()]), (pieces.concat(), true, coded.len()));
        }
    }
}

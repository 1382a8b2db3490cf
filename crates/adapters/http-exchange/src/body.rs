//! The body of an answer: where it ends, and which of the bytes on the way are its content.

use crate::framing::Framing;

/// Digits of a chunk's size: more than any chunk needs.
const MOST_DIGITS: u8 = 15;
/// Bytes between two pieces of content (sizes, extensions, trailers): more than this say nothing.
const MOST_BETWEEN: usize = 16 * 1024;

/// Takes a body as its bytes come.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// Bytes since the last content.
    between: usize,
}

/// What the first bytes of those that came are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many bytes.
    pub count: usize,
    /// Whether they are content, and not a part of the coding.
    pub is_content: bool,
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
    /// A body that ends in this way.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Whole,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => A_CHUNK,
            Framing::Close => State::UntilClose,
        };
        Self { state, between: 0 }
    }

    /// Takes at least one of the bytes that have come, unless the body is over. How the bytes are torn makes no difference to the
    /// content, and none to where it ends.
    pub fn take(&mut self, bytes: &[u8]) -> Taken {
        let wanted = match self.state {
            State::Length(left) | State::Chunked(Chunked::Data { left }) => left,
            State::UntilClose => u64::MAX,
            State::Chunked(_) => return Taken { count: self.take_coding(bytes), is_content: false },
            State::Whole | State::Broken => return Taken { count: 0, is_content: false },
        };
        let count = bytes.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let left = wanted - count as u64;
        self.state = match self.state {
            State::Chunked(_) if left == 0 => State::Chunked(Chunked::DataReturn),
            State::Chunked(_) => State::Chunked(Chunked::Data { left }),
            State::Length(_) if left == 0 => State::Whole,
            State::Length(_) => State::Length(left),
            other => other,
        };
        self.between = 0;
        Taken { count, is_content: true }
    }

    /// Whether it came to its end, so that what follows on the connection is something else.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Whether nothing more is taken: it is whole, or no end can be found.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Whole | State::Broken)
    }

    /// Whether the end of the connection is the body's.
    #[must_use]
    pub fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Takes bytes up to the next content.
    fn take_coding(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        while let State::Chunked(place) = self.state
            && !matches!(place, Chunked::Data { .. })
            && let Some(byte) = bytes.get(count)
        {
            count += 1;
            self.between += 1;
            self.state = if self.between > MOST_BETWEEN { State::Broken } else { place.after(*byte) };
        }
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

    /// The content, whether the body came to its end, and how many bytes were taken.
    fn read(framing: Framing, pieces: &[&[u8]]) -> (String, bool, usize) {
        let mut reader = BodyReader::new(framing);
        let (mut content, mut all) = (Vec::new(), 0);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() && !reader.is_over() {
                let taken = reader.take(rest);
                assert!(taken.count > 0);
                let (these, behind) = rest.split_at(taken.count);
                if taken.is_content {
                    content.extend_from_slice(these);
                }
                (rest, all) = (behind, all + taken.count);
            }
            assert!(rest.is_empty() || reader.take(rest).count == 0);
        }
        (String::from_utf8_lossy(&content).into_owned(), reader.is_whole(), all)
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
            let more = [body, "0\r\n\r\n"].concat();
            let (_, is_whole, taken) = read(Framing::Chunked, &[more.as_bytes()]);
            assert!(!is_whole && taken <= body.len(), "{body:?}: {taken}");
        }
    }

    #[test]
    fn what_stands_between_content_is_bounded() {
        let (bound, long) = (MOST_BETWEEN, "x".repeat(MOST_BETWEEN + 10));
        for endless in ["1;", "0\r\n", "0\r\nx"] {
            let (content, is_whole, taken) = read(Framing::Chunked, &[endless.as_bytes(), long.as_bytes()]);
            assert_eq!((content.as_str(), is_whole, taken), ("", false, bound + 1), "{endless:?}");
        }
        // Content begins the count anew.
        let chunk = format!("1;{}\r\nx\r\n", "y".repeat(MOST_BETWEEN / 2));
        let body = [&chunk.repeat(5), "0\r\n\r\n"].concat();
        assert_eq!(read(Framing::Chunked, &[body.as_bytes()]), ("xxxxx".to_owned(), true, body.len()));
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

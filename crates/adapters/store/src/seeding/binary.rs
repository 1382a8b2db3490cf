//! The binary format of COPY (PostgreSQL's documentation, "COPY", section "Binary Format"), as far as the seeded tables need it.

use bytes::{BufMut as _, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use uuid::Uuid;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Postgres counts from 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
/// `pg_type.oid` of `text`.
const TEXT_OID: u32 = 25;
const NULL: i32 = -1;

/// What is to be sent: rows, after the header and before the trailer.
pub(super) struct CopyBuffer {
    bytes: BytesMut,
}

impl CopyBuffer {
    /// Begins with the header.
    pub(super) fn new() -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_slice(SIGNATURE);
        // No flags, no extension of the header.
        bytes.put_u32(0);
        bytes.put_u32(0);
        Self { bytes }
    }

    /// How many bytes wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes what there is.
    pub(super) fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }

    /// Takes what there is, with the trailer.
    pub(super) fn end(mut self) -> Bytes {
        self.bytes.put_i16(-1);
        self.bytes.freeze()
    }

    /// Begins a row.
    pub(super) fn row(&mut self, columns: i16) {
        self.bytes.put_i16(columns);
    }

    pub(super) fn null(&mut self) {
        self.bytes.put_i32(NULL);
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.bytes.put_i32(length(value.len()));
        self.bytes.put_slice(value);
    }

    pub(super) fn smallint(&mut self, value: i16) {
        self.bytes.put_i32(2);
        self.bytes.put_i16(value);
    }

    pub(super) fn integer(&mut self, value: i32) {
        self.bytes.put_i32(4);
        self.bytes.put_i32(value);
    }

    pub(super) fn instant(&mut self, value: DateTime<Utc>) {
        self.bytes.put_i32(8);
        self.bytes.put_i64(value.timestamp_micros() - POSTGRES_EPOCH_MICROS);
    }

    /// A value, or null.
    pub(super) fn optional<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => put(self, value),
            None => self.null(),
        }
    }

    /// A `text[]` of one element.
    pub(super) fn single_text(&mut self, value: &str) {
        // Dimensions, whether there are nulls, type of the elements, length, lower bound; and the element.
        self.bytes.put_i32(length(5 * 4 + 4 + value.len()));
        for word in [1, 0, TEXT_OID, 1, 1] {
            self.bytes.put_u32(word);
        }
        self.text(value);
    }
}

/// Postgres takes no field of more than a gigabyte: what does not fit here is refused there.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_the_documentation_has_it() {
        let mut buffer = CopyBuffer::new();
        buffer.row(4);
        buffer.text("ab");
        buffer.null();
        buffer.smallint(-2);
        buffer.optional(Some(7), CopyBuffer::integer);
        let mut bytes = buffer.take().to_vec();
        assert_eq!(buffer.len(), 0, "what was taken is not taken twice");
        bytes.extend(buffer.end());
        let expected = [
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".as_slice(),
            b"\0\x04\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\x02\xff\xfe\0\0\0\x04\0\0\0\x07",
            b"\xff\xff",
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn time_begins_in_2000() {
        let mut buffer = CopyBuffer::new();
        buffer.take();
        buffer.instant("2000-01-01T00:00:01.000002Z".parse().unwrap());
        assert_eq!(buffer.take().as_ref(), [0, 0, 0, 8, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x42]);
    }
}

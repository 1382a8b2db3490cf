//! Conversions between what columns can hold and what the domain means.

use std::time::Duration;

use diesel::data_types::PgInterval;

use crate::StoreError;

/// A length of time as Postgres takes it; beyond 290,000 years it is as good as for ever.
pub(crate) fn interval(length: Duration) -> PgInterval {
    PgInterval::from_microseconds(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}

/// A count as a `smallint`; Postgres has no unsigned ones.
pub(crate) fn smallint(count: u16) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

/// A number as an `integer`.
pub(crate) fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A `smallint` that a CHECK keeps from being negative.
pub(crate) fn count(column: i16) -> u16 {
    u16::try_from(column).unwrap_or(0)
}

/// A text that names one of a closed list.
pub(crate) fn word<T>(table: &'static str, column: &str, text: &str) -> Result<T, StoreError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.parse().map_err(|problem| StoreError::row(table, column, problem))
}

/// A text without NUL, which a `text` column refuses: one receiver must not be able to fail the batch it is settled in.
pub(crate) fn storable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_capped() {
        assert_eq!(interval(Duration::MAX).microseconds, i64::MAX);
        assert_eq!(interval(Duration::from_millis(1500)).microseconds, 1_500_000);
        assert_eq!((smallint(u16::MAX), integer(u32::MAX), count(-1)), (i16::MAX, i32::MAX, 0));
    }

    #[test]
    fn nul_becomes_a_replacement_character() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        assert_eq!(storable("ab"), "ab");
    }
}

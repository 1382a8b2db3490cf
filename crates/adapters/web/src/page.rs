//! One page of a list.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::cursor::{Cursor, CursorKey};

/// A page of a list, in the shape every list call answers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Pass it as `cursor` to read on; null on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were read with [`Limit::plus_one`]: the row too many tells that there is another page.
    pub fn from_rows<K: CursorKey>(mut rows: Vec<T>, limit: Limit, key: impl Fn(&T) -> K) -> Self {
        let more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let next_cursor = rows.last().filter(|_| more).map(|last| Cursor::new(key(last)).to_string());
        Self { items: rows, next_cursor }
    }

    /// The same page with its items in another form.
    pub fn map<U>(self, form: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(form).collect(), next_cursor: self.next_cursor }
    }
}

/// How many items a page has at most: 1–200, 50 where it is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limit(u8);

impl Limit {
    /// The largest page.
    pub const MAX: u8 = 200;

    /// A limit of `items`; `None` outside 1–200.
    #[must_use]
    pub const fn new(items: u64) -> Option<Self> {
        if items >= 1 && items <= Self::MAX as u64 { Some(Self(items as u8)) } else { None }
    }

    /// Items on a page.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// Rows to read: one more than fit, to learn whether there is another page.
    #[must_use]
    pub const fn plus_one(self) -> i64 {
        self.0 as i64 + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;

        impl Visitor<'_> for LimitVisitor {
            type Value = Limit;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a whole number from 1 to {}", Limit::MAX)
            }

            fn visit_u64<E: Error>(self, items: u64) -> Result<Limit, E> {
                Limit::new(items).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(items), &self))
            }

            fn visit_i64<E: Error>(self, items: i64) -> Result<Limit, E> {
                Err(E::invalid_value(Unexpected::Signed(items), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Limit, E> {
                let items = text.parse().ok().and_then(Limit::new);
                items.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(LimitVisitor)
    }
}

#[cfg(test)]
mod tests {
    use onering_ids::OwnerId;

    use super::*;

    fn owner(number: u32) -> OwnerId {
        number.to_string().parse().unwrap()
    }

    #[test]
    fn the_row_too_many_becomes_the_cursor() {
        let limit = Limit::new(2).unwrap();
        let page = Page::from_rows(vec![1_u32, 2, 3], limit, |row| owner(*row));
        assert_eq!(page.items, [1, 2]);
        let next: Cursor<OwnerId> = page.next_cursor.unwrap().parse().unwrap();
        assert_eq!(next.into_key(), owner(2));
        for rows in [vec![], vec![1], vec![1, 2]] {
            assert_eq!(Page::from_rows(rows, limit, |row: &u32| owner(*row)).next_cursor, None);
        }
    }

    #[test]
    fn limits_have_bounds() {
        assert_eq!((Limit::new(0), Limit::new(201), Limit::default().get()), (None, None, 50));
        assert_eq!(Limit::new(200).map(Limit::plus_one), Some(201));
        assert_eq!(serde_json::from_str::<Limit>("7").ok(), Limit::new(7));
        assert!(serde_json::from_str::<Limit>("-1").unwrap_err().to_string().contains("from 1 to 200"));
    }
}

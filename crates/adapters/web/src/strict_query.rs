//! Query strings as arguments of handlers.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use onering_problem::{Code, Problem};
use serde::de::DeserializeOwned;

use crate::api_error::ApiError;
use crate::cursor::NOT_A_CURSOR;
use crate::json_document::refused_value;

/// The query string, refused with 400 naming the parameter: `INVALID_CURSOR` for a bad [`Cursor`](crate::Cursor),
/// `INVALID_QUERY` for everything else. `T` should have `#[serde(deny_unknown_fields)]`, and no `#[serde(flatten)]`,
/// which would let unknown parameters pass.
#[derive(Debug, Clone)]
pub struct StrictQuery<T>(pub T);

impl<T> StrictQuery<T> {
    /// The parsed query.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for StrictQuery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for StrictQuery<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string()).map(Self).map_err(ApiError::from))
    }
}

/// Parses a query string strictly.
///
/// # Errors
/// See [`StrictQuery`] for what is refused and how.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    refuse_unstorable(query)?;
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let words = error.inner().to_string();
        let Problem { field, detail, .. } = refused_value(&error.path().to_string(), &words);
        let problem = if words == NOT_A_CURSOR {
            Problem::new(Code::InvalidCursor)
        } else {
            Problem::new(Code::InvalidQuery).detail(detail.replace("field", "parameter"))
        };
        match field {
            Some(field) => problem.field(field),
            None => problem,
        }
    })
}

/// The decoder puts replacement characters where the bytes are not UTF-8, and would let through U+0000, which no column
/// can hold: both are refused before it runs.
fn refuse_unstorable(query: &str) -> Result<(), Problem> {
    let decoded = percent_decoded(query.as_bytes());
    let refusal = |detail: &str| Err(Problem::new(Code::InvalidQuery).detail(detail));
    match std::str::from_utf8(&decoded) {
        Err(_) => refusal("The query string is not percent-encoded UTF-8."),
        Ok(text) if text.contains('\0') => refusal("The query string holds the character U+0000."),
        Ok(_) => Ok(()),
    }
}

fn percent_decoded(mut rest: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            let (high, low) = (char::from(digits[0]).to_digit(16)?, char::from(digits[1]).to_digit(16)?);
            u8::try_from(high * 16 + low).ok()
        });
        match escaped {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use onering_ids::DeliveryId;
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::{Cursor, Limit};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Search {
        #[serde(default)]
        limit: Limit,
        cursor: Option<Cursor<DeliveryId>>,
        status: Option<Status>,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters here")]
        dry_run: bool,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    enum Status {
        Pending,
    }

    #[test]
    fn a_good_query() {
        let key: DeliveryId = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let query = format!("limit=7&status=PENDING&cursor={}", Cursor::new(key));
        let search: Search = parse_query(&query).unwrap();
        assert_eq!(search.limit.get(), 7);
        assert_eq!(search.status, Some(Status::Pending));
        assert_eq!(search.cursor.map(Cursor::into_key), Some(key));
        assert_eq!(parse_query::<Search>("").unwrap().limit.get(), 50);
    }

    #[test]
    fn each_fault_names_its_parameter() {
        use Code::{InvalidCursor, InvalidQuery};
        let table = [
            ("page=2", InvalidQuery, Some("page")),
            ("limit=-1", InvalidQuery, Some("limit")),
            ("limit=0", InvalidQuery, Some("limit")),
            ("limit=201", InvalidQuery, Some("limit")),
            ("limit=ten", InvalidQuery, Some("limit")),
            ("limit=", InvalidQuery, Some("limit")),
            ("limit=1&limit=2", InvalidQuery, Some("limit")),
            ("status=LOST", InvalidQuery, Some("status")),
            ("dry_run=perhaps", InvalidQuery, Some("dry_run")),
            ("cursor=abc", InvalidCursor, Some("cursor")),
            ("cursor=", InvalidCursor, Some("cursor")),
            ("status=%FF", InvalidQuery, None),
            ("status=a%00", InvalidQuery, None),
        ];
        for (query, code, field) in table {
            let problem = parse_query::<Search>(query).unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (code, field), "{query}: {}", problem.detail);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_as_bad_query(query in ".{0,60}") {
            if let Err(problem) = parse_query::<Search>(&query) {
                prop_assert_eq!(problem.status(), 400);
            }
        }
    }
}

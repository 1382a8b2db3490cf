//! What a request brings along to identify its operator.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

/// The header an admin key may come in where `Authorization` is taken, by a proxy for one.
const ADMIN_KEY_HEADER: &str = "x-admin-key";

/// A text that has yet to be verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// Nothing was sent.
    Missing,
    /// Something was sent, in no form that could hold a credential.
    Garbled,
    /// A token or a JWT.
    Sent(&'a str),
}

impl<'a> Credential<'a> {
    /// `Authorization: Bearer …` where there is an `Authorization`, else `X-Admin-Key`. Two of a kind are garbled: which one
    /// would count?
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        match Self::only(headers, AUTHORIZATION.as_str()) {
            Self::Missing => Self::only(headers, ADMIN_KEY_HEADER),
            Self::Sent(value) => match value.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Self::of_text(token),
                _ => Self::Garbled,
            },
            Self::Garbled => Self::Garbled,
        }
    }

    fn only(headers: &'a HeaderMap, name: &str) -> Self {
        let mut values = headers.get_all(name);
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => value.to_str().map_or(Self::Garbled, Self::of_text),
            (Some(_), Some(_)) => Self::Garbled,
        }
    }

    fn of_text(text: &'a str) -> Self {
        match text.trim() {
            "" => Self::Garbled,
            text => Self::Sent(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn read(sent: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        match Credential::of(&headers) {
            Credential::Missing => "missing".to_owned(),
            Credential::Garbled => "garbled".to_owned(),
            Credential::Sent(text) => text.to_owned(),
        }
    }

    #[test]
    fn both_headers_are_read_and_authorization_first() {
        assert_eq!(read(&[]), "missing");
        assert_eq!(read(&[("authorization", "Bearer oak_1")]), "oak_1");
        assert_eq!(read(&[("authorization", "bearer  oak_1 ")]), "oak_1");
        assert_eq!(read(&[("x-admin-key", "oak_2")]), "oak_2");
        assert_eq!(read(&[("x-admin-key", "oak_2"), ("authorization", "Bearer oak_1")]), "oak_1");
        assert_eq!(read(&[("x-admin-key", "oak_2"), ("authorization", "Basic b2FrXzE=")]), "garbled");
        assert_eq!(read(&[("authorization", "Bearer ")]), "garbled");
        assert_eq!(read(&[("x-admin-key", "")]), "garbled");
        assert_eq!(read(&[("x-admin-key", "oak_1"), ("x-admin-key", "oak_2")]), "garbled");
    }
}

//! The token of a request, as its `Authorization` header presents it.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use onering_keys::{ApiToken, TokenDigest};

/// What a request presents. The token itself is not kept: its digest is all that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PresentedToken {
    /// No token.
    Missing,
    /// Something that was never given out as one.
    Garbled,
    /// The digest of a well-formed one.
    Digest(TokenDigest),
}

impl PresentedToken {
    /// Reads `Authorization: Bearer <token>`. Another scheme is no token; two headers are garbled, since the proxies in
    /// front of us might have looked at the other one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(AUTHORIZATION);
        let value = match (sent.next(), sent.next()) {
            (None, _) => return Self::Missing,
            (Some(_), Some(_)) => return Self::Garbled,
            (Some(value), None) => value,
        };
        let Ok(text) = value.to_str() else { return Self::Garbled };
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Self::Missing;
        }
        match token.trim() {
            "" => Self::Missing,
            token => ApiToken::digest_of(token).map_or(Self::Garbled, Self::Digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn presented(values: &[&[u8]]) -> PresentedToken {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        PresentedToken::of(&headers)
    }

    #[test]
    fn a_token_is_taken_in_the_bearer_scheme_only() {
        let token = ApiToken::from_entropy([7; 32]);
        for form in ["Bearer {}", "bearer {}", "BEARER  {} "] {
            let text = form.replace("{}", token.expose());
            assert_eq!(presented(&[text.as_bytes()]), PresentedToken::Digest(token.digest()), "{form}");
        }
        let basic = format!("Basic {}", token.expose());
        for missing in ["", "Bearer", "Bearer ", &basic, token.expose()] {
            assert_eq!(presented(&[missing.as_bytes()]), PresentedToken::Missing, "{missing}");
        }
        assert_eq!(presented(&[]), PresentedToken::Missing);
    }

    #[test]
    fn what_was_never_given_out_is_garbled() {
        let token = ApiToken::from_entropy([7; 32]);
        let text = format!("Bearer {}", token.expose());
        let cut = &text.as_bytes()[..text.len() - 1];
        for garbled in [cut, b"Bearer osk_x", b"Bearer \xff\xfe"] {
            assert_eq!(presented(&[garbled]), PresentedToken::Garbled);
        }
        assert_eq!(presented(&[text.as_bytes(), text.as_bytes()]), PresentedToken::Garbled, "two tokens are none");
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in "[\\x20-\\x7e]{0,80}") {
            prop_assert!(!matches!(presented(&[value.as_bytes()]), PresentedToken::Digest(_)));
        }
    }
}

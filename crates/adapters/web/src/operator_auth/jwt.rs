//! Operators of a single sign-on: JWTs signed with HS256, and with nothing else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use onering_keys::Role;
use serde::Deserialize;
use sha2::Sha256;

/// The scope a token must have to operate the platform.
const SCOPE: &str = "external:admin";

/// How far ahead of ours an issuer's clock may be, in seconds. It lengthens no token's life.
const CLOCK_SKEW_SECONDS: i64 = 30;

/// The longest token that is looked at, in characters.
const LONGEST: usize = 8 * 1024;

/// The longest subject, in characters: it stands in the audit log.
const LONGEST_SUBJECT: usize = 200;

/// Verifies JWTs against one shared secret.
#[derive(Clone)]
pub struct JwtVerifier {
    key: Hmac<Sha256>,
}

/// The secret is too short to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a JWT secret has at least {} bytes", JwtVerifier::SHORTEST_SECRET)]
pub struct WeakJwtSecret;

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) role: Role,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    scope: Scopes,
    role: Role,
}

/// One text, its scopes separated by spaces (RFC 8693), or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl JwtVerifier {
    /// The shortest secret taken, in bytes: HS256 is no stronger than its key (RFC 7518, 3.2).
    pub const SHORTEST_SECRET: usize = 32;

    /// Verifies what was signed with this secret.
    ///
    /// # Errors
    /// Where the secret has fewer than 32 bytes.
    pub fn new(secret: &[u8]) -> Result<Self, WeakJwtSecret> {
        if secret.len() < Self::SHORTEST_SECRET {
            return Err(WeakJwtSecret);
        }
        let key = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| WeakJwtSecret)?;
        Ok(Self { key })
    }

    /// Whether a text has the outline of a JWT: three parts.
    pub(super) fn looks_like_one(text: &str) -> bool {
        text.split('.').count() == 3
    }

    /// The claims of a token that is signed by us, is in its time and may operate the platform. There is one answer for all
    /// others: which of these failed is nobody's business who holds none.
    pub(super) fn verify(&self, token: &str, now_unix_s: i64) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = part(header)?;
        // The algorithm is ours to choose, not the token's: the classic attacks name `none` or another family here.
        if header.alg != "HS256" || header.crit.is_some() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.key.clone().chain_update(signed).verify_slice(&signature).ok()?;
        let payload: Payload = part(payload)?;
        let now = now_unix_s as f64;
        let in_time = now < payload.exp && payload.nbf.is_none_or(|begin| begin <= now + CLOCK_SKEW_SECONDS as f64);
        (in_time && payload.scope.includes(SCOPE) && can_be_named(&payload.sub))
            .then_some(Claims { subject: payload.sub, role: payload.role })
    }
}

/// Whether a subject can be written down: what Postgres cannot store, or what would break a line, names nobody.
fn can_be_named(subject: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&subject.chars().count()) && !subject.contains(char::is_control)
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

impl Scopes {
    fn includes(&self, scope: &str) -> bool {
        match self {
            Self::Text(text) => text.split(' ').any(|one| one == scope),
            Self::List(list) => list.iter().any(|one| one == scope),
        }
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JwtVerifier(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW: i64 = 1_800_000_000;

    fn token(secret: &[u8], header: &Value, payload: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(payload));
        let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&signed).finalize();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.into_bytes()))
    }

    fn payload() -> Value {
        json!({"sub": "ada", "exp": NOW + 60, "scope": "openid external:admin", "role": "operator"})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut payload = payload();
        match value {
            Value::Null => payload.as_object_mut().unwrap().remove(name),
            value => payload.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        payload
    }

    fn verified(header: &Value, payload: &Value) -> Option<Claims> {
        JwtVerifier::new(SECRET).unwrap().verify(&token(SECRET, header, payload), NOW)
    }

    #[test]
    fn a_good_token_names_its_operator() {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": "1"});
        let claims = Some(Claims { subject: "ada".to_owned(), role: Role::Operator });
        assert_eq!(verified(&header, &payload()), claims);
        assert_eq!(verified(&header, &with("scope", json!(["external:admin"]))), claims);
        assert_eq!(verified(&header, &with("nbf", json!(NOW + CLOCK_SKEW_SECONDS))), claims);
    }

    #[test]
    fn every_other_is_refused() {
        let header = json!({"alg": "HS256"});
        for bad in [
            with("exp", json!(NOW)),
            with("exp", Value::Null),
            with("exp", json!("never")),
            with("nbf", json!(NOW + CLOCK_SKEW_SECONDS + 1)),
            with("scope", json!("external:administrator")),
            with("scope", json!([])),
            with("scope", Value::Null),
            with("role", json!("root")),
            with("role", Value::Null),
            with("sub", json!("")),
            with("sub", json!("a\nb")),
            with("sub", json!("a\u{0}b")),
            with("sub", json!("é".repeat(LONGEST_SUBJECT + 1))),
            with("sub", Value::Null),
        ] {
            assert_eq!(verified(&header, &bad), None, "{bad}");
        }
    }

    #[test]
    fn the_algorithm_is_not_the_tokens_to_choose() {
        for alg in ["none", "None", "hs256", "HS512", "RS256", ""] {
            assert_eq!(verified(&json!({"alg": alg}), &payload()), None, "{alg}");
        }
        assert_eq!(verified(&json!({"alg": "HS256", "crit": ["b64"]}), &payload()), None);
        assert_eq!(verified(&json!({}), &payload()), None);
    }

    #[test]
    fn a_signature_of_another_secret_or_none_is_refused() {
        let verifier = JwtVerifier::new(SECRET).unwrap();
        let header = json!({"alg": "HS256"});
        let other = token(b"another secret of thirty-two bytes", &header, &payload());
        assert_eq!(verifier.verify(&other, NOW), None);
        let good = token(SECRET, &header, &payload());
        let (signed, signature) = good.rsplit_once('.').unwrap();
        for bad in
            [format!("{signed}."), signed.to_owned(), format!("{signed}.{}", &signature[..20]), format!("{good}.")]
        {
            assert_eq!(verifier.verify(&bad, NOW), None, "{bad}");
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        assert_eq!(JwtVerifier::new(&SECRET[1..]).unwrap_err(), WeakJwtSecret);
        assert!(!format!("{:?}", JwtVerifier::new(SECRET).unwrap()).contains("0123"));
    }

    proptest! {
        #[test]
        fn any_text_is_refused(text in "[A-Za-z0-9_.-]{0,200}") {
            prop_assert_eq!(JwtVerifier::new(SECRET).unwrap().verify(&text, NOW), None);
        }
    }
}

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::header;
use crate::scheme::{Scheme, Schemes};
use crate::secret::{LiveSecrets, SigningSecret, code_over};

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct SigningInput<'a> {
    /// The event's id. Must satisfy [`is_signable_id`], as every `EventId` does.
    pub event_id: &'a str,
    /// When the attempt is signed, in Unix seconds.
    pub unix_s: i64,
    /// The request's body, byte for byte.
    pub body: &'a [u8],
}

/// Whether an id can be signed without doubt about where it ends: 1–128 letters, digits, `_` and `-`.
///
/// A dot in it could be moved between id and body without changing the signed bytes; a comma would break the header.
#[must_use]
pub fn is_signable_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The headers of one signed attempt, name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeaders(Vec<(&'static str, String)>);

impl SignatureHeaders {
    /// The headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The value of a header, by its exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }
}

impl IntoIterator for SignatureHeaders {
    type Item = (&'static str, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Signs one attempt in each of the schemes.
#[must_use]
pub fn sign(secrets: &LiveSecrets, schemes: Schemes, input: &SigningInput<'_>) -> SignatureHeaders {
    let stamp = input.unix_s.to_string();
    let mut headers = Vec::with_capacity(7);
    if schemes.contains(Scheme::StandardWebhooks) {
        headers.push((header::STANDARD_ID, input.event_id.to_owned()));
        headers.push((header::STANDARD_TIMESTAMP, stamp.clone()));
        headers.push((header::STANDARD_SIGNATURE, standard_webhooks(secrets, &stamp, input)));
    }
    let bare_header = if schemes.contains(Scheme::XWebhook) {
        headers.push((header::SIGNATURE, x_webhook(secrets, &stamp, input)));
        header::SIGNATURE_TIMESTAMP_BODY
    } else {
        header::SIGNATURE
    };
    if schemes.contains(Scheme::TimestampBody) {
        let mut value = String::with_capacity(64);
        push_hex(&mut value, &code(&secrets.current, Scheme::TimestampBody, &stamp, input.event_id, input.body));
        headers.push((bare_header, value));
    }
    if schemes.contains(Scheme::XWebhook) || schemes.contains(Scheme::TimestampBody) {
        headers.push((header::TIMESTAMP, stamp));
    }
    SignatureHeaders(headers)
}

/// The authentication code of a scheme: the one definition of the signed bytes. `timestamp-body` leaves the id out.
pub(crate) fn code(secret: &SigningSecret, scheme: Scheme, stamp: &str, id: &str, body: &[u8]) -> [u8; 32] {
    let (stamp, id) = (stamp.as_bytes(), id.as_bytes());
    let mac = secret.mac(scheme);
    match scheme {
        Scheme::XWebhook => code_over(mac, &[stamp, b".", id, b".", body]),
        Scheme::StandardWebhooks => code_over(mac, &[id, b".", stamp, b".", body]),
        Scheme::TimestampBody => code_over(mac, &[stamp, b".", body]),
    }
}

/// `t=<t>,e=<id>[,v1p=<previous>],v1=<current>`: the previous secret stands first, so that parsers which keep the last
/// of several values find the current one.
fn x_webhook(secrets: &LiveSecrets, stamp: &str, input: &SigningInput<'_>) -> String {
    let sign_with = |secret| code(secret, Scheme::XWebhook, stamp, input.event_id, input.body);
    let mut value = String::with_capacity(stamp.len() + input.event_id.len() + 150);
    value.push_str("t=");
    value.push_str(stamp);
    value.push_str(",e=");
    value.push_str(input.event_id);
    if let Some(previous) = &secrets.previous {
        value.push_str(",v1p=");
        push_hex(&mut value, &sign_with(previous));
    }
    value.push_str(",v1=");
    push_hex(&mut value, &sign_with(&secrets.current));
    value
}

/// `v1,<current>[ v1,<previous>]`.
fn standard_webhooks(secrets: &LiveSecrets, stamp: &str, input: &SigningInput<'_>) -> String {
    let sign_with = |secret| code(secret, Scheme::StandardWebhooks, stamp, input.event_id, input.body);
    let mut value = String::with_capacity(96);
    value.push_str("v1,");
    STANDARD.encode_string(sign_with(&secrets.current), &mut value);
    if let Some(previous) = &secrets.previous {
        value.push_str(" v1,");
        STANDARD.encode_string(sign_with(previous), &mut value);
    }
    value
}

fn push_hex(text: &mut String, bytes: &[u8; 32]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_brings_its_headers() {
        let secrets = LiveSecrets::from(SigningSecret::from_entropy([1; 32]));
        let input = SigningInput { event_id: "evt_1", unix_s: 7, body: b"{}" };
        let names = |schemes: &[Scheme]| -> Vec<&str> {
            let schemes = Schemes::new(schemes.iter().copied()).unwrap();
            sign(&secrets, schemes, &input).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[Scheme::XWebhook]), ["X-Webhook-Signature", "X-Webhook-Timestamp"]);
        assert_eq!(names(&[Scheme::StandardWebhooks]), ["webhook-id", "webhook-timestamp", "webhook-signature"]);
        assert_eq!(names(&[Scheme::TimestampBody]), ["X-Webhook-Signature", "X-Webhook-Timestamp"]);
        assert_eq!(
            names(&[Scheme::XWebhook, Scheme::TimestampBody]),
            ["X-Webhook-Signature", "X-Webhook-Signature-Timestamp-Body", "X-Webhook-Timestamp"]
        );
    }

    #[test]
    fn ids_whose_end_could_be_doubted_are_not_signable() {
        for id in ["evt_01jd8x3v0eftk9q6p3n7s5w2ab", "a", "msg-2", &"x".repeat(128)] {
            assert!(is_signable_id(id), "{id}");
        }
        for id in ["", "a.b", "a,b", "a b", "é", "a\n", &"x".repeat(129)] {
            assert!(!is_signable_id(id), "{id}");
        }
    }
}

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::header;
use crate::live_secrets::Signers;
use crate::scheme::{Scheme, Schemes};
use crate::secret::{SigningSecret, code_over};

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

/// Signs one attempt in each of the schemes. `standard-webhooks-v1a` needs the key pair; without one it is left out.
#[must_use]
pub fn sign<'a>(signers: impl Into<Signers<'a>>, schemes: Schemes, input: &SigningInput<'_>) -> SignatureHeaders {
    let signers = signers.into();
    let stamp = input.unix_s.to_string();
    let mut headers = Vec::with_capacity(7);
    if let Some(signatures) = standard_signatures(signers, schemes, &stamp, input) {
        headers.push((header::STANDARD_ID, input.event_id.to_owned()));
        headers.push((header::STANDARD_TIMESTAMP, stamp.clone()));
        headers.push((header::STANDARD_SIGNATURE, signatures));
    }
    let bare_header = if schemes.contains(Scheme::XWebhook) {
        headers.push((header::SIGNATURE, x_webhook(signers, &stamp, input)));
        header::SIGNATURE_TIMESTAMP_BODY
    } else {
        header::SIGNATURE
    };
    if schemes.contains(Scheme::TimestampBody) {
        let mut value = String::with_capacity(64);
        push_hex(&mut value, &timestamp_body_code(&signers.current.secret, &stamp, input.body));
        headers.push((bare_header, value));
    }
    if schemes.contains(Scheme::XWebhook) || schemes.contains(Scheme::TimestampBody) {
        headers.push((header::TIMESTAMP, stamp));
    }
    SignatureHeaders(headers)
}

// These four are the one definition of the signed bytes.

pub(crate) fn x_webhook_code(secret: &SigningSecret, stamp: &str, id: &str, body: &[u8]) -> [u8; 32] {
    code_over(secret.text_mac(), &[stamp.as_bytes(), b".", id.as_bytes(), b".", body])
}

pub(crate) fn standard_code(secret: &SigningSecret, stamp: &str, id: &str, body: &[u8]) -> [u8; 32] {
    code_over(secret.bytes_mac(), &[id.as_bytes(), b".", stamp.as_bytes(), b".", body])
}

/// What a key pair signs: it hashes the message twice, so it needs it in one piece.
pub(crate) fn standard_message(stamp: &str, id: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", stamp.as_bytes(), b".", body].concat()
}

/// Leaves the id out.
pub(crate) fn timestamp_body_code(secret: &SigningSecret, stamp: &str, body: &[u8]) -> [u8; 32] {
    code_over(secret.text_mac(), &[stamp.as_bytes(), b".", body])
}

/// `t=<t>,e=<id>[,v1p=<previous>],v1=<current>`: the previous secret stands first, so that parsers which keep the last
/// of several values find the current one.
fn x_webhook(signers: Signers<'_>, stamp: &str, input: &SigningInput<'_>) -> String {
    let sign_with = |secret| x_webhook_code(secret, stamp, input.event_id, input.body);
    let mut value = String::with_capacity(stamp.len() + input.event_id.len() + 150);
    value.push_str("t=");
    value.push_str(stamp);
    value.push_str(",e=");
    value.push_str(input.event_id);
    if let Some(previous) = signers.previous {
        value.push_str(",v1p=");
        push_hex(&mut value, &sign_with(&previous.secret));
    }
    value.push_str(",v1=");
    push_hex(&mut value, &sign_with(&signers.current.secret));
    value
}

/// `v1,<current>[ v1,<previous>][ v1a,<current>[ v1a,<previous>]]`; `None` when neither scheme is chosen.
fn standard_signatures(
    signers: Signers<'_>,
    schemes: Schemes,
    stamp: &str,
    input: &SigningInput<'_>,
) -> Option<String> {
    let keys = || std::iter::once(signers.current).chain(signers.previous);
    let mut value = String::with_capacity(96);
    if schemes.contains(Scheme::StandardWebhooks) {
        for keys in keys() {
            push_base64(&mut value, "v1,", &standard_code(&keys.secret, stamp, input.event_id, input.body));
        }
    }
    if schemes.contains(Scheme::StandardWebhooksV1a) {
        let message = standard_message(stamp, input.event_id, input.body);
        for pair in keys().filter_map(|keys| keys.key_pair.as_ref()) {
            push_base64(&mut value, "v1a,", &pair.sign(&message));
        }
    }
    (!value.is_empty()).then_some(value)
}

fn push_base64(text: &mut String, version: &str, signature: &[u8]) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(version);
    STANDARD.encode_string(signature, text);
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
    use crate::key_pair::KeyPair;
    use crate::live_secrets::{LiveSecrets, SigningKeys};

    fn keys(seed: u8) -> SigningKeys {
        let key_pair = Some(KeyPair::from_entropy([seed; 32]));
        SigningKeys { secret: SigningSecret::from_entropy([seed; 32]), key_pair }
    }

    #[test]
    fn each_scheme_brings_its_headers() {
        let secrets = LiveSecrets::from(keys(1));
        let input = SigningInput { event_id: "evt_1", unix_s: 7, body: b"{}" };
        let names = |schemes: &[Scheme]| -> Vec<&str> {
            let schemes = Schemes::new(schemes.iter().copied()).unwrap();
            sign(&secrets, schemes, &input).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[Scheme::XWebhook]), ["X-Webhook-Signature", "X-Webhook-Timestamp"]);
        assert_eq!(names(&[Scheme::StandardWebhooks]), ["webhook-id", "webhook-timestamp", "webhook-signature"]);
        let v1a = [Scheme::StandardWebhooksV1a];
        assert_eq!(names(&v1a), ["webhook-id", "webhook-timestamp", "webhook-signature"]);
        assert_eq!(names(&[Scheme::TimestampBody]), ["X-Webhook-Signature", "X-Webhook-Timestamp"]);
        assert_eq!(
            names(&[Scheme::XWebhook, Scheme::TimestampBody]),
            ["X-Webhook-Signature", "X-Webhook-Signature-Timestamp-Body", "X-Webhook-Timestamp"]
        );
    }

    #[test]
    fn both_standard_schemes_share_a_header_and_the_current_key_stands_first() {
        let secrets = LiveSecrets { current: keys(1), previous: Some(keys(2)) };
        let input = SigningInput { event_id: "evt_1", unix_s: 7, body: b"{}" };
        let both = Schemes::new([Scheme::StandardWebhooks, Scheme::StandardWebhooksV1a]).unwrap();
        let signatures = |signers: Signers<'_>, schemes: Schemes| -> Vec<String> {
            let headers = sign(signers, schemes, &input);
            headers.get(header::STANDARD_SIGNATURE).unwrap().split(' ').map(str::to_owned).collect()
        };
        let all = signatures(Signers::from(&secrets), both);
        let versions: Vec<&str> = all.iter().map(|signature| signature.split_once(',').unwrap().0).collect();
        assert_eq!(versions, ["v1", "v1", "v1a", "v1a"]);
        assert_eq!(signatures(secrets.current_alone(), both), [all[0].clone(), all[2].clone()]);
        assert_eq!(signatures(Signers::from(&secrets), Scheme::StandardWebhooksV1a.into()), all[2..]);
        let without_pair = LiveSecrets::from(SigningSecret::from_entropy([1; 32]));
        assert_eq!(signatures(Signers::from(&without_pair), both), all[..1]);
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

//! What of a subscription may be shown, and to whom.
//!
//! Its own headers and its URL may hold the receiver's credentials. Answers to whoever may read the subscription hide the
//! values of headers whose names speak of credentials. The audit log, which outlives the subscription, keeps no header's
//! value and of the URL the origin only, with a fingerprint by which a change can be seen.

use std::collections::BTreeMap;

use onering_problem::Problem;
use onering_webhooks::{CustomHeaders, TargetUrl};
use sha2::{Digest, Sha256};

/// What stands in the place of a value that is not shown.
pub const MASK: &str = "********";

/// Words that, in a header's name, speak of credentials.
const TELLING: [&str; 9] = ["auth", "cookie", "credential", "key", "pass", "secret", "session", "signature", "token"];

/// Headers for answers.
pub(crate) fn shown_headers(headers: &CustomHeaders) -> BTreeMap<String, String> {
    let shown = |(name, value): (&str, &str)| (name.to_owned(), if is_hidden(name) { MASK } else { value }.to_owned());
    headers.expose().map(shown).collect()
}

/// Whether there is a header whose value answers do not show.
pub(crate) fn hides_values(headers: &CustomHeaders) -> bool {
    headers.names().any(is_hidden)
}

fn is_hidden(name: &str) -> bool {
    TELLING.iter().any(|word| name.contains(word))
}

/// Headers for the audit log.
pub(crate) fn audited_headers(headers: &CustomHeaders) -> BTreeMap<String, String> {
    headers.names().map(|name| (name.to_owned(), MASK.to_owned())).collect()
}

/// A URL for the audit log.
pub(crate) fn audited_url(url: &TargetUrl) -> String {
    let digest = Sha256::digest(url.as_str());
    format!("{}/… (sha256 {})", url.origin(), hex::encode(&digest[..8]))
}

/// Refuses a mask that came back: whoever reads a subscription, changes it and writes it whole would store the mask as the
/// credential.
pub(crate) fn refuse_masks(headers: Option<&BTreeMap<String, String>>) -> Result<(), Problem> {
    let masked = headers.into_iter().flatten().find(|(_, value)| value.as_str() == MASK);
    masked.map_or(Ok(()), |(name, _)| {
        let shown: String = name.chars().filter(|letter| !letter.is_control()).take(64).collect();
        Err(Problem::invalid(
            format!("headers.{shown}"),
            "This is the mask that answers show; send the value itself, or leave headers out to keep them.",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn credentials_are_hidden_and_the_rest_is_shown() {
        let own = CustomHeaders::parse(headers(&[
            ("Authorization", "Bearer hunter2"),
            ("X-Api-Key", "hunter2"),
            ("X-Team", "gold"),
        ]))
        .unwrap();
        let expected = headers(&[("authorization", MASK), ("x-api-key", MASK), ("x-team", "gold")]);
        assert_eq!(shown_headers(&own), expected);
        assert!(audited_headers(&own).values().all(|value| value == MASK));
    }

    #[test]
    fn the_audit_log_sees_that_a_url_changed_and_not_what_is_in_it() {
        let [one, other] = ["https://a.example/T0/hunter2", "https://a.example/T0/hunter3"]
            .map(|url| audited_url(&url.parse().unwrap()));
        assert!(one.starts_with("https://a.example/… (sha256 ") && !one.contains("hunter"), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn a_mask_that_comes_back_is_refused() {
        let problem = refuse_masks(Some(&headers(&[("Authorization", MASK)]))).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("headers.Authorization"));
        assert_eq!(refuse_masks(Some(&headers(&[("a", "b")]))), Ok(()));
        assert_eq!(refuse_masks(None), Ok(()));
    }
}

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

struct Entry {
    text: &'static str,
    status: u16,
    title: &'static str,
    recovery: Option<&'static str>,
}

macro_rules! codes {
    ($($name:ident $text:literal $status:literal $title:literal $(=> $recovery:literal)?;)+) => {
        /// Every error code of the platform. Each is stable: programs branch on it, dashboards count by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`, ", stringify!($status), ": ", $title, ".")] $name,)+
        }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            const fn entry(self) -> Entry {
                match self {
                    $(Self::$name => Entry {
                        text: $text,
                        status: $status,
                        title: $title,
                        recovery: codes!(@advice $($recovery)?),
                    },)+
                }
            }
        }
    };
    (@advice) => { None };
    (@advice $recovery:literal) => { Some($recovery) };
}

codes! {
    // The access decision, in the order of its checks.
    ExternalApiDisabled "EXTERNAL_API_DISABLED" 503 "The external API is switched off"
        => "Try again later; the operator of this platform decides when it opens.";
    AddressBlocked "ADDRESS_BLOCKED" 403 "This address is blocked"
        => "Ask the operator of this platform why the address was blocked.";
    MissingApiKey "MISSING_API_KEY" 401 "An API key is required"
        => "Send the key as `Authorization: Bearer osk_…`.";
    InvalidApiKey "INVALID_API_KEY" 401 "The API key is not valid"
        => "Check that the whole key was copied, and that it has not been revoked or rotated.";
    KeyExpired "KEY_EXPIRED" 401 "The API key has expired"
        => "Ask the operator of this platform for a new key, or to extend this one.";
    TooManyAuthFailures "TOO_MANY_AUTH_FAILURES" 429 "Too many failed authentications from this address"
        => "Correct the API key and try again after the time in Retry-After.";
    KeyDisabled "KEY_DISABLED" 403 "The API key is disabled"
        => "Ask the operator of this platform to enable the key.";
    PartnerDisabled "PARTNER_DISABLED" 403 "The partner is disabled"
        => "Ask the operator of this platform to enable the partner.";
    IpNotAllowed "IP_NOT_ALLOWED" 403 "The API key may not be used from this address"
        => "Call from an address on the key's allowlist, or have the address added to it.";
    CanaryOnlyMode "CANARY_ONLY_MODE" 403 "Only canary keys are admitted at the moment"
        => "Use a canary key, or wait until the API opens to all.";
    NotInRollout "NOT_IN_ROLLOUT" 403 "The partner is not part of the rollout yet"
        => "Wait until the rollout reaches this partner, or ask to take part as a canary.";
    MissingScope "MISSING_SCOPE" 403 "The API key lacks a scope"
        => "Use a key that has the scope, or ask for the scope to be added to this one.";
    RateLimited "RATE_LIMITED" 429 "The rate limit is used up"
        => "Wait for the time in Retry-After; the X-RateLimit headers show the limit and its reset.";

    CostAboveLimit "COST_ABOVE_LIMIT" 422 "The call costs more than the key's whole limit"
        => "Split the batch into smaller ones, or ask for a higher limit: waiting does not help.";

    // What else the gateway refuses.
    WebhooksDisabled "WEBHOOKS_DISABLED" 503 "Webhooks are switched off"
        => "Try again later; the operator of this platform decides when webhooks open.";
    IdempotencyMismatch "IDEMPOTENCY_MISMATCH" 422 "The idempotency key was used for another request"
        => "Use a new Idempotency-Key for a new event, and the same one only to repeat the same request.";
    UrlNotAllowed "URL_NOT_ALLOWED" 422 "The URL may not be called"
        => "Use an https URL on a public address.";
    RateLimiterUnavailable "RATE_LIMITER_UNAVAILABLE" 503 "The rate limit cannot be checked at the moment"
        => "Try again after the time in Retry-After.";
    UpstreamUnavailable "UPSTREAM_UNAVAILABLE" 502 "The product behind this path does not answer"
        => "Try again later.";
    UpstreamTimeout "UPSTREAM_TIMEOUT" 504 "The product behind this path did not answer in time"
        => "Try again later; the request may have taken effect.";

    // Requests that cannot be understood.
    MalformedRequest "MALFORMED_REQUEST" 400 "The request cannot be read";
    MalformedJson "MALFORMED_JSON" 400 "The body is not valid JSON"
        => "Send a JSON document in UTF-8.";
    InvalidQuery "INVALID_QUERY" 400 "The query string is not valid"
        => "Check the names and values of the query parameters.";
    InvalidCursor "INVALID_CURSOR" 400 "The cursor is not valid"
        => "Pass next_cursor of the previous page unchanged, or leave the cursor out to begin again.";
    BodyTooLarge "BODY_TOO_LARGE" 413 "The body is too large"
        => "Send a smaller body, or split a batch.";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" 415 "The media type of the body is not supported"
        => "Send `Content-Type: application/json`, or another type the call names.";
    ValidationFailed "VALIDATION_FAILED" 422 "A value in the request is not valid"
        => "Correct the field that is named and send the request again.";
    UnknownField "UNKNOWN_FIELD" 422 "The body has a field this call does not know"
        => "Remove the field that is named, or correct its spelling.";
    RequestTimeout "REQUEST_TIMEOUT" 408 "The request did not arrive in time"
        => "Send the request again.";

    // Requests that are understood and cannot be met.
    NotFound "NOT_FOUND" 404 "There is nothing here";
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405 "The method is not allowed here"
        => "Use one of the methods in the Allow header.";
    Conflict "CONFLICT" 409 "The request does not fit the present state"
        => "Read the object again and decide whether the change is still wanted.";

    // Operators.
    Unauthorized "UNAUTHORIZED" 401 "An operator's credentials are required"
        => "Send an admin key as `X-Admin-Key: oak_…` or `Authorization: Bearer oak_…`.";
    Forbidden "FORBIDDEN" 403 "The operator's role does not allow this"
        => "Ask an admin for a key with the role that is named.";

    // The platform's own troubles.
    DependencyUnavailable "DEPENDENCY_UNAVAILABLE" 503 "A part of the platform does not answer at the moment"
        => "Try again after a short while.";
    Overloaded "OVERLOADED" 503 "The platform has more work than it can take at the moment"
        => "Try again after the time in Retry-After.";
    ShuttingDown "SHUTTING_DOWN" 503 "This process is shutting down"
        => "Send the request again; another process will answer it.";
    Internal "INTERNAL" 500 "Something went wrong on our side"
        => "Try again; if it happens again, report the request_id.";
}

impl Code {
    /// The code as it stands in bodies, headers and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().text
    }

    /// The HTTP status of answers with this code.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.entry().status
    }

    /// What happened, the same for every occurrence; without a full stop.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.entry().title
    }

    /// What the caller can do about it, where the caller can do something.
    #[must_use]
    pub const fn recovery(self) -> Option<&'static str> {
        self.entry().recovery
    }

    /// The `type` of the problem document: a URN made of the code.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("urn:onering:problem:{}", self.as_str().to_ascii_lowercase().replace('_', "-"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The text is no code of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known error code")]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_is_well_formed_and_unlike_the_others() {
        for code in Code::ALL {
            let text = code.as_str();
            assert!(text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{text}");
            assert!((400..600).contains(&code.status()), "{text}");
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{text}");
            assert!(code.recovery().is_none_or(|recovery| recovery.ends_with('.')), "{text}");
        }
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let titles: BTreeSet<_> = Code::ALL.iter().map(|code| code.title()).collect();
        assert_eq!((texts.len(), titles.len()), (Code::ALL.len(), Code::ALL.len()));
    }

    #[test]
    fn the_text_names_the_variant() {
        for code in Code::ALL {
            let variant = format!("{code:?}").to_ascii_uppercase();
            assert_eq!(variant, code.as_str().replace('_', ""));
        }
    }

    /// The statuses partners were promised: a change here is a break of the contract.
    #[test]
    fn statuses_of_the_contract() {
        let promised = [
            ("EXTERNAL_API_DISABLED", 503),
            ("ADDRESS_BLOCKED", 403),
            ("MISSING_API_KEY", 401),
            ("INVALID_API_KEY", 401),
            ("KEY_EXPIRED", 401),
            ("TOO_MANY_AUTH_FAILURES", 429),
            ("KEY_DISABLED", 403),
            ("PARTNER_DISABLED", 403),
            ("IP_NOT_ALLOWED", 403),
            ("CANARY_ONLY_MODE", 403),
            ("NOT_IN_ROLLOUT", 403),
            ("MISSING_SCOPE", 403),
            ("RATE_LIMITED", 429),
            ("WEBHOOKS_DISABLED", 503),
            ("IDEMPOTENCY_MISMATCH", 422),
            ("VALIDATION_FAILED", 422),
            ("UNKNOWN_FIELD", 422),
            ("URL_NOT_ALLOWED", 422),
            ("MALFORMED_JSON", 400),
            ("INVALID_CURSOR", 400),
            ("INVALID_QUERY", 400),
            ("BODY_TOO_LARGE", 413),
            ("UNSUPPORTED_MEDIA_TYPE", 415),
            ("NOT_FOUND", 404),
            ("METHOD_NOT_ALLOWED", 405),
            ("CONFLICT", 409),
            ("UNAUTHORIZED", 401),
            ("FORBIDDEN", 403),
            ("RATE_LIMITER_UNAVAILABLE", 503),
            ("UPSTREAM_UNAVAILABLE", 502),
            ("UPSTREAM_TIMEOUT", 504),
            ("DEPENDENCY_UNAVAILABLE", 503),
            ("SHUTTING_DOWN", 503),
            ("INTERNAL", 500),
        ];
        for (text, status) in promised {
            assert_eq!(text.parse::<Code>().map(Code::status), Ok(status), "{text}");
        }
    }

    #[test]
    fn text_and_code_are_the_same_thing() {
        for code in Code::ALL {
            assert_eq!(code.to_string().parse(), Ok(*code));
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
        }
        assert_eq!("key_expired".parse::<Code>(), Err(UnknownCode));
    }

    #[test]
    fn the_type_is_a_urn() {
        assert_eq!(Code::ExternalApiDisabled.type_uri(), "urn:onering:problem:external-api-disabled");
    }
}

use std::collections::BTreeMap;
use std::fmt;

use onering_problem::Problem;

/// Request headers a subscription adds: at most 10, names in lower case.
///
/// They often carry credentials (`authorization` is allowed), so `Debug` shows the names only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CustomHeaders(BTreeMap<String, String>);

/// Headers that HTTP, the client or the signature owns.
const FORBIDDEN: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const FORBIDDEN_PREFIXES: [&str; 3] = ["x-webhook-", "webhook-", "proxy-"];

impl CustomHeaders {
    /// The most headers.
    pub const MAX_COUNT: usize = 10;
    /// The most characters of a name.
    pub const MAX_NAME_LENGTH: usize = 64;
    /// The most characters of a value.
    pub const MAX_VALUE_LENGTH: usize = 1024;

    /// Checks headers.
    ///
    /// # Errors
    /// A problem that names the header, never its value.
    pub fn parse(headers: BTreeMap<String, String>) -> Result<Self, Problem> {
        if headers.len() > Self::MAX_COUNT {
            return Err(Problem::invalid("headers", "A subscription has at most 10 headers of its own."));
        }
        let mut kept = BTreeMap::new();
        for (name, value) in headers {
            let wrong = |rule: &str| Problem::invalid(format!("headers.{}", shown(&name)), rule);
            let lower = name.to_ascii_lowercase();
            if !is_name(&lower) {
                return Err(wrong("A header's name has 1 to 64 letters, digits and characters of !#$%&'*+-.^_`|~."));
            }
            if FORBIDDEN.contains(&lower.as_str()) || FORBIDDEN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
            {
                return Err(wrong("This header is set by the platform and cannot be chosen."));
            }
            if !is_value(&value) {
                return Err(wrong("A header's value has at most 1024 visible ASCII characters and inner spaces."));
            }
            if kept.insert(lower, value).is_some() {
                return Err(wrong("This header is there twice: names do not differ by case."));
            }
        }
        Ok(Self(kept))
    }

    /// Names and values, by name. Values may be credentials: for the request and its row, nowhere else.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names, which may be shown.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for CustomHeaders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=CustomHeaders::MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(is_token)
}

fn is_value(value: &str) -> bool {
    value.len() <= CustomHeaders::MAX_VALUE_LENGTH
        && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && !value.starts_with(' ')
        && !value.ends_with(' ')
}

/// A name as a problem repeats it: bounded, whatever was sent.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(CustomHeaders::MAX_NAME_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Result<CustomHeaders, Problem> {
        CustomHeaders::parse(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn good_headers_are_kept_in_lower_case() {
        let headers = parse(&[("Authorization", "Bearer a b"), ("X-Tenant", "")]).unwrap();
        assert_eq!(headers.expose().collect::<Vec<_>>(), [("authorization", "Bearer a b"), ("x-tenant", "")]);
        assert_eq!(format!("{headers:?}"), r#"{"authorization", "x-tenant"}"#);
    }

    #[test]
    fn what_the_platform_sets_cannot_be_chosen() {
        for name in [
            "Host",
            "CONTENT-LENGTH",
            "content-type",
            "Transfer-Encoding",
            "connection",
            "X-Webhook-Signature",
            "x-webhook-anything",
            "webhook-id",
            "Proxy-Authorization",
            "te",
            "upgrade",
        ] {
            let problem = parse(&[(name, "x")]).unwrap_err();
            assert_eq!(problem.field, Some(format!("headers.{name}")));
        }
    }

    #[test]
    fn nothing_breaks_out_of_its_header() {
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:b", "x"),
            ("a\r\nb", "x"),
            ("é", "x"),
            ("a", "x\r\ny: z"),
            ("a", "x\0"),
            ("a", "é"),
            ("a", " x"),
            ("a", "x "),
            ("a", "x\ty"),
            ("a", &"x".repeat(1025)),
            (&"a".repeat(65), "x"),
        ] {
            let problem = parse(&[(name, value)]).unwrap_err();
            assert_eq!(problem.status(), 422, "{name:?}: {value:?}");
            assert!(!problem.to_string().contains('\n'), "{problem}");
        }
    }

    #[test]
    fn ten_are_enough_and_case_makes_no_difference() {
        let many: BTreeMap<_, _> = (0..11).map(|n| (format!("x-{n}"), String::new())).collect();
        assert_eq!(CustomHeaders::parse(many).unwrap_err().field.as_deref(), Some("headers"));
        assert!(parse(&[("X-A", "1"), ("x-a", "2")]).unwrap_err().detail.contains("twice"));
    }

    proptest! {
        #[test]
        fn any_headers_are_taken_or_refused(headers in prop::collection::btree_map("\\PC{0,20}", "\\PC{0,20}", 0..4)) {
            let _ = CustomHeaders::parse(headers);
        }
    }
}

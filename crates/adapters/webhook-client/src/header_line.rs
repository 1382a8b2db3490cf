//! One line of a request's head.

/// Appends `name: value`, the name in lower case; answers whether it could be sent. Nothing that could end the line, or the
/// head, is ever appended.
#[must_use]
pub(crate) fn push(head: &mut Vec<u8>, name: &str, value: &str) -> bool {
    let is_sendable = is_name(name) && is_value(value);
    if is_sendable {
        head.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    is_sendable
}

/// A token of RFC 9110, section 5.6.2.
fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// What is visible, spaces and tabs.
pub(crate) fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_sent_in_lower_case_and_values_as_they_are() {
        let mut head = Vec::new();
        assert!(push(&mut head, "X-Webhook-Event", "Ring\t{\"a\": 1}~"));
        assert_eq!(head, b"x-webhook-event: Ring\t{\"a\": 1}~\r\n");
    }

    proptest! {
        #[test]
        fn what_is_sent_is_one_line_and_comes_back(name in "[A-Za-z-]{1,8}|\\PC{0,8}|.{0,3}", value in "\\PC{0,20}|(?s).{0,8}") {
            let mut head = Vec::new();
            if push(&mut head, &name, &value) {
                let line = head.strip_suffix(b"\r\n").unwrap();
                prop_assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0 | 0x7f..)));
                let mut headers = [httparse::EMPTY_HEADER; 2];
                let whole = [&head[..], b"\r\n"].concat();
                let (_, parsed) = httparse::parse_headers(&whole, &mut headers).unwrap().unwrap();
                prop_assert_eq!(parsed.len(), 1);
                prop_assert_eq!(parsed[0].name, name.to_ascii_lowercase());
                prop_assert_eq!(parsed[0].value, value.trim_matches([' ', '\t']).as_bytes());
            } else {
                prop_assert!(head.is_empty());
            }
        }
    }
}

//! The request target at the upstream.

use std::borrow::Cow;

use onering_problem::{Code, Problem};
use url::{Position, Url};

/// Puts a request's path and query behind an upstream's base, as it is sent.
///
/// A path with `.` or `..` segments, plain or percent-encoded, or with a backslash is refused: whoever resolves them behind us
/// would be led out of the route whose scope was checked. What may not stand in a URL as it is gets encoded.
pub(super) fn target<'a>(base: &Url, path_and_query: &'a str) -> Result<Cow<'a, str>, Problem> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    if !path.starts_with('/') || path.contains(['\\', '#']) || path.split('/').any(is_dots) {
        return Err(Problem::new(Code::MalformedRequest)
            .detail("The path may not hold `.` or `..` segments, backslashes or `#`."));
    }
    let above = base.path().trim_end_matches('/');
    if path_and_query.bytes().all(is_plain) {
        return Ok(if above.is_empty() { path_and_query.into() } else { [above, path_and_query].concat().into() });
    }
    let mut url = base.clone();
    url.set_path(&[above, path].concat());
    url.set_query(query);
    Ok(url[Position::BeforePath..Position::AfterQuery].to_owned().into())
}

/// Whether it stands for itself in a path and in a query, however strictly they are read.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'?' | b'%' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&')
        || matches!(byte, b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

fn is_dots(segment: &str) -> bool {
    // Both points encoded.
    const LONGEST: usize = "%2e%2e".len();
    if segment.len() > LONGEST || !matches!(segment.as_bytes().first(), Some(b'.' | b'%')) {
        return false;
    }
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed_on(base: &str, path: &str) -> Result<String, Code> {
        target(&base.parse().unwrap(), path).map(Cow::into_owned).map_err(|problem| problem.code)
    }

    #[test]
    fn the_base_stays_and_the_path_follows() {
        let table = [
            ("http://up:1", "/rings?a=1&b=%20", "/rings?a=1&b=%20"),
            ("http://up:1/", "/rings", "/rings"),
            ("http://up:1/api/", "/rings/", "/api/rings/"),
            ("http://up:1", "//elsewhere/rings", "//elsewhere/rings"),
            ("http://up:1", "/a%2Fb", "/a%2Fb"),
            ("http://up:1", "/..a/b..", "/..a/b.."),
            ("http://up:1", "/@elsewhere:2", "/@elsewhere:2"),
            ("http://up:1", "/rings?", "/rings?"),
            ("http://up:1/api", "/a\"b{c}\u{e9} d?q='<\u{e9}>", "/api/a%22b%7Bc%7D%C3%A9%20d?q=%27%3C%C3%A9%3E"),
        ];
        for (base, path, expected) in table {
            assert_eq!(passed_on(base, path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_path_cannot_lead_out_of_its_route() {
        for path in
            ["/rings/../ledger", "/rings/%2e%2E/ledger", "/rings/.%2e", "/./x", "/a\\..\\b", "", "rings", "/a#b"]
        {
            assert_eq!(passed_on("http://up/", path), Err(Code::MalformedRequest), "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_prefix_stays_and_nothing_ends_the_request_line(path in "/rings/[a-zA-Z0-9%./:@?#'\"{}<>\\\\\u{e9} -]{0,30}") {
            let base = "http://up:1/api".parse().unwrap();
            if let Ok(target) = target(&base, &path) {
                prop_assert!(target.starts_with("/api/rings/"), "{}", target);
                prop_assert!(target.bytes().all(|byte| byte.is_ascii_graphic()), "{}", target);
                let resolved = base.join(&target).unwrap();
                prop_assert_eq!(&resolved[Position::BeforePath..Position::AfterQuery], &*target, "a URL parser has nothing to add");
            }
        }
    }
}
